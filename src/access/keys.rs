//! The keys that are valid now, found by their hash.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use super::key_file::KeyLine;
use super::limits::{KeyLimits, Usage};
use super::scope::Scopes;
use super::secret::Digest;
use crate::client::KeyId;
use crate::telemetry::metrics::{KeyMetrics, Metrics};

/// Keys beyond this many names share one series in the metrics.
const MOST_SERIES: usize = 1000;
/// The label of those.
const OTHERS: &str = "other";

/// A valid key.
#[derive(Debug)]
pub struct Key {
    pub name: Arc<str>,
    pub scopes: Scopes,
    pub limits: KeyLimits,
    pub account: Account,
    /// Set when it is removed or its scopes change. Shared with what the file held before, for whoever found it then.
    pub is_revoked: Arc<AtomicBool>,
}

/// What all keys of one name share. It outlives changes of the file.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: KeyId,
    pub usage: Arc<Usage>,
    pub metrics: KeyMetrics,
}

/// The keys that are valid now.
#[derive(Debug, Default)]
pub struct Keys {
    /// By their hash, in its order.
    sorted: Vec<(Digest, Arc<Key>)>,
    accounts: HashMap<Arc<str>, Account>,
    /// How many accounts there have been.
    last_id: u32,
}

impl Keys {
    /// These keys, in place of those before. Names that stay keep what they have used.
    #[must_use]
    pub fn replaced(&self, lines: Vec<KeyLine>, metrics: &Metrics, now: Instant) -> Self {
        let mut replaced = Self {
            last_id: self.last_id,
            ..Self::default()
        };
        for line in lines {
            let name: Arc<str> = line.name.into();
            let account = replaced.account(&name, self, metrics, now);
            let before = self.by_digest(&line.digest);
            let same = before.filter(|before| before.scopes == line.scopes);
            let key = Key {
                name,
                scopes: line.scopes,
                limits: line.limits,
                account,
                is_revoked: same
                    .map(|same| Arc::clone(&same.is_revoked))
                    .unwrap_or_default(),
            };
            replaced.sorted.push((line.digest, Arc::new(key)));
        }
        // Of equal ones the first stays.
        replaced.sorted.sort_by_key(|(digest, _)| *digest);
        replaced.sorted.dedup_by_key(|(digest, _)| *digest);
        for (digest, before) in &self.sorted {
            let now = replaced.by_digest(digest);
            if now.is_none_or(|now| now.scopes != before.scopes) {
                before.is_revoked.store(true, Ordering::Relaxed);
            }
        }
        replaced
    }

    /// Finds a key as it was sent. The time that this takes depends on the key's hash alone, and on whether there are
    /// keys: a binary search, and one comparison in constant time.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<&Arc<Key>> {
        self.by_digest(&Digest::of(key))
    }

    fn by_digest(&self, digest: &Digest) -> Option<&Arc<Key>> {
        let position = self.sorted.partition_point(|(other, _)| other < digest);
        let nearest = position.min(self.sorted.len().checked_sub(1)?);
        let (other, key) = &self.sorted[nearest];
        other.matches(digest).then_some(key)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    fn account(
        &mut self,
        name: &Arc<str>,
        before: &Self,
        metrics: &Metrics,
        now: Instant,
    ) -> Account {
        let known = self
            .accounts
            .get(name)
            .or_else(|| before.accounts.get(name));
        let account = known.cloned().unwrap_or_else(|| {
            self.last_id = self.last_id.saturating_add(1);
            let has_series = self.accounts.len() < MOST_SERIES;
            Account {
                id: KeyId::new(self.last_id),
                usage: Arc::new(Usage::new(now)),
                metrics: metrics.key(if has_series { name } else { OTHERS }),
            }
        });
        self.accounts.insert(Arc::clone(name), account.clone());
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, key: &str) -> KeyLine {
        KeyLine {
            name: name.to_owned(),
            scopes: Scopes::ALL,
            digest: Digest::of(key.as_bytes()),
            limits: KeyLimits::default(),
        }
    }

    #[test]
    fn keys_are_found_by_what_was_sent() {
        let metrics = Metrics::new("test");
        let lines = (0..100).map(|n| line(&format!("n{n}"), &format!("key {n}")));
        let keys = Keys::default().replaced(lines.collect(), &metrics, Instant::now());
        for n in 0..100 {
            let found = keys.find(format!("key {n}").as_bytes()).unwrap();
            assert_eq!(&*found.name, format!("n{n}"));
            assert!(keys.find(format!("key {n} ").as_bytes()).is_none());
        }
        assert!(keys.find(b"").is_none());
        assert!(Keys::default().find(b"key 1").is_none());
    }

    #[test]
    fn a_name_keeps_what_it_used_when_its_key_is_replaced() {
        let metrics = Metrics::new("test");
        let now = Instant::now();
        let replaced =
            |keys: &Keys, lines: &[KeyLine]| keys.replaced(lines.to_vec(), &metrics, now);
        let first = replaced(&Keys::default(), &[line("shop", "old"), line("other", "b")]);
        let held = Arc::clone(first.find(b"old").unwrap());
        // Both keys work until the old one is removed.
        let second = replaced(&first, &[line("shop", "old"), line("shop", "new")]);
        let third = replaced(&second, &[line("shop", "new"), line("third", "c")]);
        assert!(second.find(b"old").is_some() && third.find(b"old").is_none());
        // Whoever found the key before is told.
        assert!(held.is_revoked.load(Ordering::Relaxed));
        let kept = second.find(b"new").unwrap();
        assert!(!kept.is_revoked.load(Ordering::Relaxed));
        let account = |keys: &Keys, key: &[u8]| keys.find(key).unwrap().account.clone();
        let (before, after) = (account(&first, b"old"), account(&third, b"new"));
        assert_eq!(before.id, after.id);
        assert!(Arc::ptr_eq(&before.usage, &after.usage));
        // Ids of others are never taken again.
        assert_ne!(account(&third, b"c").id, account(&first, b"b").id);
    }

    #[test]
    fn names_beyond_the_bound_share_a_series() {
        let metrics = Metrics::new("test");
        let lines = (0..MOST_SERIES + 5).map(|n| line(&format!("n{n}"), &n.to_string()));
        let _keys = Keys::default().replaced(lines.collect(), &metrics, Instant::now());
        let text = metrics.encode().unwrap();
        let series = text
            .lines()
            .filter(|line| line.starts_with("electra_requests_admitted_total{"));
        assert_eq!(series.count(), MOST_SERIES + 1, "{text}");
        assert!(
            text.contains(r#"electra_requests_admitted_total{key="other"} 0"#),
            "{text}"
        );
    }
}
