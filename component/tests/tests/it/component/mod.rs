//! Named so that one filter takes these and the component's scenarios in `host-tests`.

mod codec;
mod engines;
mod imports;
mod joined;
mod keyvalue;
mod refusals;
