//! The ledger: each way a record can begin or end, counted where it happens, none by subtraction.
//!
//! received + recovered + created = delivered + held + dead-lettered + dropped + merged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sdk::metrics::{Counter, Gauge, Metrics};

/// The ways a record can end other than delivered or dead-lettered: a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// A message that was cut off after some of its pieces had been stored. Its sender got no answer.
    Aborted,
    /// The disk failed after the records had been admitted. Their sender got no answer.
    BufferFailed,
    /// Damaged on disk; the bytes are in quarantine.
    Corrupt,
    /// Refused by the destination, and the dead letter is off.
    DeadLetterOff,
    /// The dead letter is full and told to drop.
    DeadLetterFull,
    /// Sent again by a sender that missed the answer, and stored already (`duplicate_window`).
    Duplicate,
    /// A filter took it out.
    Filtered,
    /// A filter could not handle it, and no `ERROR` label takes it.
    FilterError,
    /// A filter panicked on it three times, and no `ERROR` label takes it.
    FilterPanic,
    /// A store that is told to `ignore` was full or failed.
    Ignored,
    /// `overflow_action = "drop_oldest_chunk"`.
    Overflow,
    /// A memory buffer that could not be flushed before the end.
    Shutdown,
    /// A filter with memory failed while it held them, or no buffer took what left it. Their sender got no answer.
    StageFailed,
    /// No match takes its tag.
    Unmatched,
}

impl DropReason {
    /// Every reason, so that each series exists from the start.
    pub const ALL: [Self; 14] = [
        Self::Aborted,
        Self::BufferFailed,
        Self::Corrupt,
        Self::DeadLetterOff,
        Self::DeadLetterFull,
        Self::Duplicate,
        Self::Filtered,
        Self::FilterError,
        Self::FilterPanic,
        Self::Ignored,
        Self::Overflow,
        Self::Shutdown,
        Self::StageFailed,
        Self::Unmatched,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::BufferFailed => "buffer_failed",
            Self::Corrupt => "corrupt",
            Self::DeadLetterOff => "dead_letter_off",
            Self::DeadLetterFull => "dead_letter_full",
            Self::Duplicate => "duplicate",
            Self::Filtered => "filtered",
            Self::FilterError => "filter_error",
            Self::FilterPanic => "filter_panic",
            Self::Ignored => "ignored",
            Self::Overflow => "overflow",
            Self::Shutdown => "shutdown",
            Self::StageFailed => "stage_failed",
            Self::Unmatched => "unmatched",
        }
    }

    /// Whether the configuration asked for it.
    fn is_intended(self) -> bool {
        matches!(
            self,
            Self::Filtered
                | Self::Ignored
                | Self::Overflow
                | Self::DeadLetterOff
                | Self::DeadLetterFull
                | Self::Duplicate
        )
    }
}

/// One account: what came in, what went out, what is still there. One per output, one for the pipeline.
#[derive(Debug, Clone)]
pub struct Account(Arc<Terms>);

#[derive(Debug)]
struct Terms {
    received: Counter,
    recovered: Counter,
    created: Counter,
    delivered: Counter,
    dead_lettered: Counter,
    merged: Counter,
    held: Gauge,
    dropped: Vec<(DropReason, Counter)>,
    dropped_bytes: Vec<(DropReason, Counter)>,
}

/// Whose account it is: the names of its terms differ, so that sums over one name make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The way from the sources to the buffers. What it delivers, outputs receive.
    Pipeline,
    /// An output with its buffer.
    Output,
}

impl Account {
    fn new(holder: Holder, metrics: &Metrics) -> Self {
        let total = |name, help| metrics.counter(name, help, &[]);
        let (received, delivered) = match holder {
            Holder::Pipeline => (
                total("admitted_records", "Records taken from the sources"),
                total("routed_records", "Records handed to the buffers of outputs"),
            ),
            Holder::Output => (
                total("accepted_records", "Records taken into the buffer"),
                total("sent_records", "Records that the destination acknowledged"),
            ),
        };
        let by_reason = |name: &'static str, help: &str| {
            let series = |reason: DropReason| {
                let intended = if reason.is_intended() {
                    "true"
                } else {
                    "false"
                };
                let labels = [("reason", reason.as_str()), ("intended", intended)];
                (reason, metrics.counter(name, help, &labels))
            };
            DropReason::ALL.map(series).to_vec()
        };
        Self(Arc::new(Terms {
            received,
            recovered: total("recovered_records", "Records found in the buffer at start"),
            created: total(
                "created_records",
                "Records that came into being here, such as copies",
            ),
            delivered,
            dead_lettered: total("dead_letter_records", "Records written to the dead letter"),
            merged: total("merged_records", "Records that a filter joined into others"),
            held: metrics.gauge("held_records", "Records stored and not yet settled", &[]),
            dropped: by_reason(
                "dropped_records",
                "Records that ended other than sent or dead-lettered",
            ),
            dropped_bytes: by_reason("dropped_bytes", "Bytes of dropped records"),
        }))
    }

    /// Records admitted.
    pub fn received(&self, records: u64) {
        self.0.received.inc_by(records);
    }

    /// Records found in the buffer at start; they are held from now on.
    pub fn recovered(&self, records: u64) {
        self.0.recovered.inc_by(records);
        self.hold(records);
    }

    /// Records that came into being here.
    pub fn created(&self, records: u64) {
        self.0.created.inc_by(records);
    }

    /// Records that are stored from now on.
    pub fn hold(&self, records: u64) {
        self.0.held.inc_by(signed(records));
    }

    /// Records that are no longer stored; say also how they ended.
    pub fn release(&self, records: u64) {
        self.0.held.dec_by(signed(records));
    }

    /// Records that the destination acknowledged.
    pub fn delivered(&self, records: u64) {
        #[cfg(feature = "defects")]
        let records = records.saturating_sub(u64::from(super::defects::is_on("ledger_leak")));
        self.0.delivered.inc_by(records);
    }

    /// Records written to the dead letter.
    pub fn dead_lettered(&self, records: u64) {
        self.0.dead_lettered.inc_by(records);
    }

    /// Records that ended inside others.
    pub fn merged(&self, records: u64) {
        self.0.merged.inc_by(records);
    }

    /// Records that ended for another reason.
    pub fn dropped(&self, reason: DropReason, records: u64, bytes: u64) {
        let add = |series: &[(DropReason, Counter)], by| {
            if let Some((_, counter)) = series.iter().find(|(which, _)| *which == reason) {
                counter.inc_by(by);
            }
        };
        add(&self.0.dropped, records);
        add(&self.0.dropped_bytes, bytes);
    }

    /// Records stored and not yet settled.
    pub fn held_now(&self) -> i64 {
        self.0.held.get()
    }

    /// Records admitted so far.
    pub fn received_so_far(&self) -> u64 {
        self.0.received.get()
    }

    /// Records that the destination acknowledged so far.
    pub fn delivered_so_far(&self) -> u64 {
        self.0.delivered.get()
    }

    /// Records that ended for this reason so far.
    pub fn dropped_so_far(&self, reason: DropReason) -> u64 {
        let series = self.0.dropped.iter().find(|(which, _)| *which == reason);
        series.map_or(0, |(_, counter)| counter.get())
    }

    /// In minus out minus held; 0 at any quiet moment.
    pub fn imbalance(&self) -> i64 {
        let terms = &*self.0;
        let dropped: u64 = terms.dropped.iter().map(|(_, counter)| counter.get()).sum();
        let incoming = terms.received.get() + terms.recovered.get() + terms.created.get();
        let outgoing =
            terms.delivered.get() + terms.dead_lettered.get() + dropped + terms.merged.get();
        signed(incoming) - signed(outgoing) - terms.held.get()
    }
}

/// All accounts.
#[derive(Debug, Clone)]
pub struct Ledger {
    metrics: Metrics,
    pages: Arc<Mutex<Vec<Page>>>,
}

/// An account with whose it is.
#[derive(Debug)]
struct Page {
    holder: Holder,
    /// Carries the labels of the component.
    metrics: Metrics,
    imbalance: Gauge,
    account: Account,
}

/// Sums over all accounts, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records taken from the sources.
    pub received: u64,
    /// Records stored and not yet settled.
    pub held: u64,
    /// Records that a destination acknowledged.
    pub sent: u64,
}

impl Ledger {
    /// An empty ledger in this registry.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.clone(),
            pages: Arc::default(),
        }
    }

    /// Opens the account of a component, or gives the one that is open; its labels come with `metrics`.
    pub fn open(&self, holder: Holder, metrics: &Metrics) -> Account {
        let mut pages = self.pages();
        if let Some(page) = pages.iter().find(|page| page.metrics.is_same(metrics)) {
            return page.account.clone();
        }
        let account = Account::new(holder, metrics);
        let help = "In minus out minus held; must be 0 at any quiet moment";
        pages.push(Page {
            holder,
            metrics: metrics.clone(),
            imbalance: metrics.gauge("ledger_imbalance_records", help, &[]),
            account: account.clone(),
        });
        account
    }

    /// Forgets a component that has ended for good, with all of its series. Should it come back, it begins with zeros.
    pub fn close(&self, component_id: &str) {
        let metrics = self.metrics.with(&[("component_id", component_id)]);
        self.pages()
            .retain(|page| !page.metrics.is_within(&metrics));
        metrics.forget();
    }

    fn pages(&self) -> MutexGuard<'_, Vec<Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registry.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sums over all accounts.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for Page {
            holder, account, ..
        } in self.pages().iter()
        {
            match holder {
                Holder::Pipeline => {
                    totals.received += account.0.received.get();
                    totals.held += u64::try_from(account.0.held.get()).unwrap_or(0);
                }
                Holder::Output => {
                    totals.held += u64::try_from(account.0.held.get()).unwrap_or(0);
                    totals.sent += account.0.delivered.get();
                }
            }
        }
        totals
    }

    /// Writes the imbalance of every account into its gauge; called before each exposition.
    pub fn audit(&self) {
        for page in self.pages().iter() {
            page.imbalance.set(page.account.imbalance());
        }
    }
}

fn signed(records: u64) -> i64 {
    i64::try_from(records).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balances_when_every_record_has_an_end() {
        let ledger = Ledger::new(&Metrics::new());
        let account = ledger.open(Holder::Output, ledger.metrics());
        account.received(10);
        account.hold(10);
        assert_eq!(account.imbalance(), 0);
        account.delivered(6);
        account.dead_lettered(3);
        account.dropped(DropReason::Overflow, 1, 100);
        assert_eq!(account.imbalance(), -10);
        account.created(2);
        account.merged(2);
        assert_eq!(account.imbalance(), -10);
        account.release(10);
        assert_eq!(account.imbalance(), 0);
        assert_eq!(
            ledger.totals(),
            Totals {
                received: 0,
                held: 0,
                sent: 6
            }
        );
    }

    #[test]
    fn writes_each_term_and_the_difference() {
        let ledger = Ledger::new(&Metrics::new());
        let account = ledger.open(Holder::Pipeline, ledger.metrics());
        account.received(3);
        account.dropped(DropReason::Filtered, 2, 0);
        ledger.audit();
        let text = ledger.metrics().encode();
        for line in [
            "weir_admitted_records_total 3",
            "weir_dropped_records_total{reason=\"filtered\",intended=\"true\"} 2",
            "weir_ledger_imbalance_records 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn one_component_has_one_account_until_it_is_forgotten() {
        let ledger = Ledger::new(&Metrics::new());
        let metrics = ledger
            .metrics()
            .with(&[("component_id", "a"), ("kind", "x")]);
        ledger.open(Holder::Output, &metrics).recovered(3);
        let again = ledger.open(Holder::Output, &metrics);
        assert_eq!((again.held_now(), ledger.totals().held), (3, 3));
        ledger.close("a");
        ledger.open(Holder::Output, &metrics).recovered(2);
        assert_eq!(ledger.totals().held, 2);
        assert!(
            ledger
                .metrics()
                .encode()
                .contains("weir_recovered_records_total{component_id=\"a\",kind=\"x\"} 2")
        );
    }
}
