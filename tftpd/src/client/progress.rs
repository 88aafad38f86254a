//! Progress reports.

use std::{fmt, sync::Arc};

/// The progress of a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes received or acknowledged.
    pub transferred: u64,
    /// Size of the file in bytes, if known.
    pub size: Option<u64>,
}

/// The caller's function for progress reports.
#[derive(Clone, Default)]
pub(super) struct Hook(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl Hook {
    pub(super) fn new(hook: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(super) fn call(&self, progress: Progress) {
        if let Some(hook) = &self.0 {
            hook(progress);
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "not set" })
    }
}
