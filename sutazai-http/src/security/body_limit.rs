//! Sizes of request bodies by group of routes.

/// Limit of the request bodies of a group of routes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit {
    /// Maximum size of a body in bytes.
    pub(crate) bytes: usize,
    /// Bytes of memory that each byte of a body counts for. Parsed JSON and the copies of a file take a multiple of
    /// the body.
    pub(crate) memory_factor: usize,
}

impl BodyLimit {
    /// Sign-in and account management.
    pub(crate) const ACCOUNT: Self = Self { bytes: 16 * 1_024, memory_factor: 4 };
    /// JSON without a payload.
    pub(crate) const JSON: Self = Self { bytes: 64 * 1_024, memory_factor: 4 };
    /// JSON with an arbitrary payload; the number of its values is bounded separately (`sutazai_bodies::payload`).
    pub(crate) const PAYLOAD: Self = Self { bytes: 256 * 1_024, memory_factor: 8 };
    /// Messages and texts for a model: enough for a long context of 128 Ki tokens with 16 bytes each.
    pub(crate) const MODEL: Self = Self { bytes: 2 * 1_024 * 1_024, memory_factor: 4 };
    /// Multipart form with a file.
    pub(crate) const UPLOAD: Self = Self { bytes: 10 * 1_000 * 1_000, memory_factor: 4 };

    /// Memory that the largest body counts for, in bytes.
    pub(crate) const fn memory(self) -> usize {
        self.bytes * self.memory_factor
    }
}
