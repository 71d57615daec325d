//! The global memory budget: bytes between a socket and durable storage.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Granularity of the budget, in bytes.
const UNIT_BYTES: usize = 1024;

/// A limit on bytes in flight, shared by all inputs, and one spare permit beyond it.
///
/// Whoever holds a part of something and waits for room for the rest may wait for ever when everybody does.
/// The spare lets one at a time go on without room, so that somebody always comes to an end.
#[derive(Debug, Clone)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    units: usize,
    spare: Arc<Semaphore>,
}

/// Bytes taken from the budget; dropping it gives them back.
#[derive(Debug)]
pub struct Permit {
    bytes: OwnedSemaphorePermit,
    spare: Option<OwnedSemaphorePermit>,
    /// A permit of another budget that goes along, such as the share of a connection.
    share: Option<Box<Permit>>,
}

impl Budget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            semaphore: Arc::new(Semaphore::new(units)),
            units,
            spare: Arc::new(Semaphore::new(1)),
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
        Permit {
            bytes: acquire(&self.semaphore, self.units_for(bytes)).await,
            spare: None,
            share: None,
        }
    }

    /// Takes `bytes` if they are free now.
    pub fn try_take(&self, bytes: usize) -> Option<Permit> {
        let semaphore = Arc::clone(&self.semaphore);
        let bytes = semaphore
            .try_acquire_many_owned(self.units_for(bytes))
            .ok()?;
        Some(Permit {
            bytes,
            spare: None,
            share: None,
        })
    }

    /// Waits until `bytes` are free or the spare is, and takes what comes first.
    /// With the spare the holder goes on without room; it must come to an end soon.
    pub async fn take_or_spare(&self, bytes: usize) -> Permit {
        if let Some(permit) = self.try_take(bytes) {
            return permit;
        }
        let spare = async {
            Permit {
                spare: Some(acquire(&self.spare, 1).await),
                bytes: acquire(&self.semaphore, 0).await,
                share: None,
            }
        };
        tokio::select! {
            biased;
            permit = self.take(bytes) => permit,
            permit = spare => permit,
        }
    }

    fn units_for(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT_BYTES).min(self.units)).unwrap_or(u32::MAX)
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, units: u32) -> OwnedSemaphorePermit {
    loop {
        // The semaphore is never closed, so this succeeds the first time.
        if let Ok(permit) = Arc::clone(semaphore).acquire_many_owned(units).await {
            return permit;
        }
    }
}

impl Permit {
    /// What it holds, in bytes. The spare adds nothing.
    pub fn bytes(&self) -> usize {
        self.bytes.num_permits() * UNIT_BYTES
    }

    /// Whether its holder may go on without room.
    pub fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// Takes `other` in. What came from another budget is given back instead.
    pub fn join(&mut self, other: Self) {
        if Arc::ptr_eq(self.bytes.semaphore(), other.bytes.semaphore()) {
            self.bytes.merge(other.bytes);
            self.spare = self.spare.take().or(other.spare);
        }
    }

    /// Splits off `bytes`, or all there are when they are fewer. The spare goes along.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Option<Self> {
        let units = bytes.div_ceil(UNIT_BYTES).min(self.bytes.num_permits());
        Some(Self {
            bytes: self.bytes.split(units)?,
            spare: self.spare.take(),
            share: None,
        })
    }

    /// The same, and when it is given back, so is `share`, which comes from another budget.
    #[must_use]
    pub fn with_share(mut self, share: Self) -> Self {
        self.share = Some(Box::new(share));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_goes_on_with_the_spare_when_nothing_is_free() {
        let budget = Budget::new(10 << 10);
        let all = budget.take(1 << 20).await;
        assert_eq!((all.bytes(), budget.used_bytes()), (10 << 10, 10 << 10));
        let first = budget.take_or_spare(1).await;
        assert!(first.has_spare());
        assert_eq!(first.bytes(), 0);
        let second = budget.take_or_spare(1);
        tokio::pin!(second);
        assert!(
            tokio::time::timeout(std::time::Duration::ZERO, &mut second)
                .await
                .is_err()
        );
        drop(first);
        assert!(second.await.has_spare());
        drop(all);
        assert_eq!(budget.used_bytes(), 0);
        assert!(!budget.take_or_spare(1).await.has_spare());
    }

    #[tokio::test]
    async fn permits_split_and_join() {
        let budget = Budget::new(10 << 10);
        let mut permit = budget.take(8 << 10).await;
        let part = permit.split(3_000).unwrap();
        assert_eq!((permit.bytes(), part.bytes()), (5 << 10, 3 << 10));
        let rest = permit.split(usize::MAX).unwrap();
        assert_eq!((permit.bytes(), rest.bytes()), (0, 5 << 10));
        permit.join(part);
        assert_eq!((permit.bytes(), budget.used_bytes()), (3 << 10, 8 << 10));
        permit.join(Budget::new(1 << 10).take(1).await);
        assert_eq!(permit.bytes(), 3 << 10);
        drop((permit, rest));
        assert_eq!(budget.used_bytes(), 0);
        let own = Budget::new(4 << 10);
        let both = budget.take(1).await.with_share(own.take(1).await);
        assert_eq!((budget.used_bytes(), own.used_bytes()), (1 << 10, 1 << 10));
        drop(both);
        assert_eq!((budget.used_bytes(), own.used_bytes()), (0, 0));
    }
}
