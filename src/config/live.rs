//! Values that can be replaced while the service runs. A reader must never see part of a new value.

use std::sync::{Arc, PoisonError, RwLock};

/// A value that is read often and replaced now and then.
#[derive(Debug, Default)]
pub struct Live<T>(RwLock<Arc<T>>);

impl<T> Live<T> {
    /// Creates a value.
    pub fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    /// Returns the present value. The caller keeps it, even if it is replaced later.
    pub fn get(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the value.
    pub fn replace(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_was_taken_stays_when_it_is_replaced() {
        let live = Live::new(1);
        let taken = live.get();
        live.replace(2);
        assert_eq!((*taken, *live.get()), (1, 2));
    }
}
