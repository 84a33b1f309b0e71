//! The simulator from outside: its crypto against published vectors, its clock against misbehaving servers, its API
//! over real sockets, and the walk against a small backend that does everything right.

mod api;
mod app;
mod backend;
mod cli;
mod judge;
mod sending;
mod vectors;
mod walk;
