//! The store and the simulator.
