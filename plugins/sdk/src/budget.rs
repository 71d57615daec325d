//! The global memory budget: bytes between a socket and durable storage.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Granularity of the budget, in bytes.
const UNIT_BYTES: usize = 1024;

/// A limit on bytes in flight, shared by all inputs.
#[derive(Debug, Clone)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    units: usize,
}

/// Bytes taken from the budget; dropping it gives them back.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            semaphore: Arc::new(Semaphore::new(units)),
            units,
        }
    }

    /// The limit, in bytes.
    pub fn limit_bytes(&self) -> usize {
        self.units * UNIT_BYTES
    }

    /// What is taken now, in bytes.
    pub fn used_bytes(&self) -> usize {
        (self.units - self.semaphore.available_permits().min(self.units)) * UNIT_BYTES
    }

    /// Waits until `bytes` are free and takes them. More than the whole budget waits for the whole budget.
    pub async fn take(&self, bytes: usize) -> Permit {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).min(self.units)).unwrap_or(u32::MAX);
        let semaphore = Arc::clone(&self.semaphore);
        loop {
            // The semaphore is never closed, so this succeeds the first time.
            if let Ok(permit) = Arc::clone(&semaphore).acquire_many_owned(units).await {
                return Permit { _permit: permit };
            }
        }
    }

    /// Takes `bytes` if they are free now.
    pub fn try_take(&self, bytes: usize) -> Option<Permit> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).min(self.units)).unwrap_or(u32::MAX);
        Arc::clone(&self.semaphore)
            .try_acquire_many_owned(units)
            .ok()
            .map(|permit| Permit { _permit: permit })
    }
}
