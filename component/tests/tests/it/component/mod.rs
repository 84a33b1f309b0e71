//! Named so that one filter takes these and the component's scenarios in `host-tests`.

mod codec;
mod imports;
mod keyvalue;
mod refusals;
