//! The filter's decisions, with a WeChat that is asked by hand and a clock that is moved by hand.

mod mini;
mod uid;
mod web;
mod world;
