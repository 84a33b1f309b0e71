//! The simulator from outside: its crypto against published vectors, its clock against misbehaving servers, its API
//! against a clock that is told what time it is.

mod vectors;
