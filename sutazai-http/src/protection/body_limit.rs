//! Sizes of request bodies by group of routes.

/// Largest body of a group of routes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit {
    /// The largest body in bytes.
    pub(crate) bytes: usize,
    /// Memory that each byte counts for, since parsed JSON and the copies of a file take a multiple of the body.
    pub(crate) memory_factor: usize,
}

impl BodyLimit {
    /// Sign-in, and everything else about accounts.
    pub(crate) const ACCOUNT: Self = Self { bytes: 16 * 1_024, memory_factor: 4 };
    /// JSON without a payload.
    pub(crate) const JSON: Self = Self { bytes: 64 * 1_024, memory_factor: 4 };
    /// JSON with a payload of any form, whose values are bounded besides (`dto::payload`).
    pub(crate) const PAYLOAD: Self = Self { bytes: 256 * 1_024, memory_factor: 8 };
    /// Messages and texts for a model: the 128 Ki tokens of a long context, 16 bytes each.
    pub(crate) const MODEL: Self = Self { bytes: 2 * 1_024 * 1_024, memory_factor: 4 };
    /// A form with a file.
    pub(crate) const UPLOAD: Self = Self { bytes: 10 * 1_000 * 1_000, memory_factor: 4 };

    /// Memory in bytes that the largest body takes.
    pub(crate) const fn memory(self) -> usize {
        self.bytes * self.memory_factor
    }
}
