//! What a host may be unable to give.
//!
//! Envoy gives everything. A host that does not is found out while the configuration is read (`weir-config` refuses each
//! setting that needs what is missing, with its path), never at run time.

/// One thing that a host may be unable to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Engines go on when no request is there: what outlives the request that caused it is done in time, and what one leaves
    /// behind another one takes up. Without it, that waits in shared data for the next request.
    Background = 1,
    /// The host knows its peers by name (Envoy's clusters). Without it, a peer is named by its origin, `https://…`.
    Clusters = 2,
}

/// The capabilities of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(u8);

impl Capabilities {
    /// Everything there is.
    pub const ALL: Self = Self(Capability::Background as u8 | Capability::Clusters as u8);
    /// Only what every host gives.
    pub const NONE: Self = Self(0);

    /// Whether the host gives it.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & capability as u8 != 0
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_all_and_none_is_none() {
        for capability in [Capability::Background, Capability::Clusters] {
            assert!(Capabilities::ALL.has(capability) && !Capabilities::NONE.has(capability));
        }
    }
}
