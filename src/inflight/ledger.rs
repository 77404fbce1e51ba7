//! Who holds how many bytes of a budget, and who may take more. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::client::Client;

/// The part of the budget that is only for clients who hold little.
const KEPT: usize = 4;

/// The bytes of a budget.
#[derive(Debug)]
pub struct Ledger {
    capacity: usize,
    free: usize,
    /// Clients that hold something.
    held: HashMap<Client, usize>,
}

impl Ledger {
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            free: capacity,
            held: HashMap::new(),
        }
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn held(&self) -> usize {
        self.capacity - self.free
    }

    pub fn held_by(&self, client: Client) -> usize {
        self.held.get(&client).copied().unwrap_or_default()
    }

    /// The most that a client can hold, if nobody else holds anything.
    pub fn most(&self) -> usize {
        self.capacity - self.capacity / KEPT
    }

    /// Takes bytes for a client if it may have them: if they leave the last quarter of the budget free, or if the client
    /// then holds no more than what is still free.
    ///
    /// So one client gets three quarters at most, a second one half of the rest, and there is always some left for
    /// the next (the dynamic thresholds of Choudhury and Hahne, 1998).
    pub fn take(&mut self, client: Client, bytes: usize) -> bool {
        let Some(free) = self.free.checked_sub(bytes) else {
            return false;
        };
        let held = self.held.entry(client);
        let before = match &held {
            Entry::Occupied(held) => *held.get(),
            Entry::Vacant(_) => 0,
        };
        // Within the capacity, because all holds together are.
        let after = before + bytes;
        let may = free >= self.capacity / KEPT || after <= free;
        if may && bytes > 0 {
            self.free = free;
            held.insert_entry(after);
        }
        may
    }

    /// Takes back what a client held.
    pub fn give(&mut self, client: Client, bytes: usize) {
        let Entry::Occupied(mut held) = self.held.entry(client) else {
            return;
        };
        let bytes = bytes.min(*held.get());
        *held.get_mut() -= bytes;
        if *held.get() == 0 {
            held.remove();
        }
        self.free += bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn client(number: u8) -> Client {
        IpAddr::from([192, 0, 2, number]).into()
    }

    #[test]
    fn the_last_quarter_is_for_those_who_hold_little() {
        let mut ledger = Ledger::new(128);
        assert!(!ledger.take(client(1), 97));
        assert!(ledger.take(client(1), ledger.most()));
        assert!(!ledger.take(client(1), 1));
        // Half of what is left, and half of that again.
        for (number, most) in [(2, 16), (3, 8), (4, 4)] {
            assert!(!ledger.take(client(number), most + 1), "{number}");
            assert!(ledger.take(client(number), most), "{number}");
            assert!(!ledger.take(client(number), 1), "{number}");
        }
        assert_eq!(ledger.held(), 96 + 16 + 8 + 4);
        ledger.give(client(1), 96);
        assert!(ledger.take(client(2), 64));
        assert_eq!((ledger.held(), ledger.held_by(client(2))), (92, 80));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_a_newcomer_always_gets_something(
            steps in prop::collection::vec((0_u8..6, 0_usize..400, any::<bool>()), 0..200),
        ) {
            let mut ledger = Ledger::new(1000);
            let mut held = [0_usize; 6];
            for (number, bytes, takes) in steps {
                let mine = &mut held[usize::from(number)];
                if !takes {
                    let bytes = bytes.min(*mine);
                    ledger.give(client(number), bytes);
                    *mine -= bytes;
                } else if ledger.take(client(number), bytes) {
                    *mine += bytes;
                }
                prop_assert_eq!(ledger.held_by(client(number)), held[usize::from(number)]);
                let sum: usize = held.iter().sum();
                prop_assert_eq!(ledger.held(), sum);
                prop_assert!(sum <= 1000);
                prop_assert!(held.iter().all(|held| *held <= ledger.most()));
                // Six clients leave a half of a half of ... a quarter, at least.
                let newcomer = client(200);
                prop_assert!(ledger.take(newcomer, 1));
                ledger.give(newcomer, 1);
            }
            prop_assert_eq!(ledger.held.len(), held.iter().filter(|held| **held > 0).count());
        }
    }
}
