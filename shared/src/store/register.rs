//! The register: what the journal says of each message, in a few bytes, beside the cases that it is held
//! against. It is written from the journal only, one page a case, so that the two are independent counts.

use super::keys::CaseId;
use super::retention::BUCKETS;
use super::{Redis, StoreError};

/// Buckets to list at once, and how many of what was listed make the next listing shorter: a script of about
/// two milliseconds with a million cases as with a hundred.
const STRIDES: (usize, usize, usize) = (32, 2048, 500);

/// The first bytes of a message's key. Within one case two messages share them once in four billion.
pub type Name = [u8; 4];

/// How far a message has come, as the journal tells it. Of two that are told the later counts, and the later
/// here is the higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// It waits, or is in doubt.
    Open,
    /// It ended without being sent.
    NotSent,
    /// It was sent, or as an office timer told.
    Sent,
}

/// What the journal says of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The case.
    pub case: CaseId,
    /// When the last of it was written, days since 1970.
    pub day: u16,
    /// Its messages.
    pub marks: Vec<(Name, Mark)>,
}

/// Where the next lines of events and of outcomes are, as offsets of their streams.
pub type Places = [u64; 2];

/// How an ente's register stands: no two copies that differ stand alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stand {
    /// Up to where the journal is in it.
    pub places: Places,
    /// Times that something was entered.
    entries: u64,
}

/// The last comparison of an ente.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// Messages on which journal and ledger differ.
    pub difference: i64,
    /// When it ended, Unix milliseconds.
    pub at_ms: i64,
}

/// What lies in some buckets of the register.
#[derive(Debug)]
pub struct Listed {
    /// The store's clock, Unix milliseconds.
    pub now_ms: i64,
    /// The pages.
    pub pages: Vec<Page>,
    /// Cases that concern somebody; the register should have them elsewhere.
    pub linked: Vec<CaseId>,
}

/// Buckets of an ente's register that have a page: 64 KiB, whatever they hold.
#[derive(Debug, Clone)]
pub struct Occupied(Vec<bool>);

/// The buckets still to be listed, in steps that fit what is in them.
#[derive(Debug, Clone)]
pub struct Walk {
    /// In the order of the walk.
    buckets: Vec<u16>,
    next: usize,
    stride: usize,
    /// The cases that concern persons are listed too.
    is_whole: bool,
}

/// The register of a store.
#[derive(Clone)]
pub struct Register {
    redis: Redis,
}

impl Mark {
    fn byte(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::NotSent => 2,
            Self::Sent => 3,
        }
    }

    fn parse(byte: u8) -> Option<Self> {
        [Self::Open, Self::NotSent, Self::Sent].into_iter().find(|mark| mark.byte() == byte)
    }
}

impl Stand {
    /// As it stands after one more entering, with the journal up to these places.
    #[must_use]
    pub fn next(self, places: Places) -> Self {
        Self { places, entries: self.entries + 1 }
    }

    /// Empty while nothing was entered.
    fn text(self) -> String {
        let [events, outcomes] = self.places;
        if self.entries == 0 { String::new() } else { format!("{events} {outcomes} {}", self.entries) }
    }

    fn parse(text: &str) -> Option<Self> {
        let [events, outcomes, entries] = numbers(text)?;
        Some(Self { places: [events, outcomes], entries })
    }
}

impl Page {
    fn parse(case: &[u8], page: &[u8]) -> Option<Self> {
        let (day, marks) = page.split_first_chunk::<2>()?;
        let (marks, []) = marks.as_chunks::<5>() else { return None };
        let mark = |[a, b, c, d, far]: &[u8; 5]| Some(([*a, *b, *c, *d], Mark::parse(*far)?));
        Some(Self {
            case: case.try_into().ok()?,
            day: u16::from_be_bytes(*day),
            marks: marks.iter().map(mark).collect::<Option<_>>()?,
        })
    }

    fn marks(&self) -> Vec<u8> {
        self.marks.iter().flat_map(|(name, mark)| [&name[..], &[mark.byte()]].concat()).collect()
    }
}

impl Default for Occupied {
    /// None.
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| false).collect())
    }
}

impl Occupied {
    /// There is a page of this case.
    pub fn note(&mut self, case: &CaseId) {
        let bucket = usize::from(u16::from_be_bytes([case[0], case[1]]));
        self.0[bucket] = true;
    }
}

impl Default for Walk {
    /// Through all buckets: pages, and cases that concern persons.
    fn default() -> Self {
        Self { buckets: (0..=u16::MAX).collect(), next: 0, stride: STRIDES.0, is_whole: true }
    }
}

impl Walk {
    /// Through the pages of these buckets. An ente of few cases has few of them, and to look into 65,536 empty
    /// ones takes Redis a tenth of a second.
    #[must_use]
    pub fn through(occupied: &Occupied) -> Self {
        let buckets = (0..=u16::MAX).filter(|bucket| occupied.0[usize::from(*bucket)]).collect();
        Self { buckets, is_whole: false, ..Self::default() }
    }

    /// Whether it passes all buckets.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The buckets that come next; none at the end.
    fn left(&self) -> Option<&[u16]> {
        let end = self.buckets.len().min(self.next + self.stride);
        Some(&self.buckets[self.next..end]).filter(|left| !left.is_empty())
    }

    fn step(&mut self, found: usize) {
        let (least, most, many) = STRIDES;
        self.next += self.left().map_or(0, <[u16]>::len);
        self.stride = if found > many { self.stride / 2 } else { self.stride * 2 }.clamp(least, most);
    }
}

impl Register {
    /// On a connection.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Enters what the journal says of these cases; a hundred of them stay well below 20 ms. False, and nothing
    /// is written, if the register does not stand as `before`.
    pub async fn enter(
        &self,
        ente: &str,
        (before, after): (Stand, Stand),
        pages: &[Page],
    ) -> Result<bool, StoreError> {
        let mut call = self.redis.scripts.enter.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(before.text()).arg(after.text());
        for page in pages {
            call.arg(&page.case[..]).arg(&page.day.to_be_bytes()[..]).arg(page.marks());
        }
        self.redis.run(&call).await
    }

    /// Takes a case out, of which retention has long taken the record.
    pub async fn forget(&self, ente: &str, case: &CaseId) -> Result<(), StoreError> {
        let mut key = format!("{}j:", self.redis.ente(ente)).into_bytes();
        key.extend(&case[..2]);
        self.redis.ask(redis::cmd("HDEL").arg(key).arg(&case[2..])).await
    }

    /// Lists the next buckets of a walk; none at its end.
    pub async fn list(&self, ente: &str, walk: &mut Walk) -> Result<Option<Listed>, StoreError> {
        let Some(buckets) = walk.left() else { return Ok(None) };
        let heads: Vec<u8> = buckets.iter().flat_map(|bucket| bucket.to_be_bytes()).collect();
        let mut call = self.redis.scripts.register.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(heads).arg(u8::from(walk.is_whole));
        let (now_ms, pages, linked): (i64, Vec<Vec<u8>>, Vec<Vec<u8>>) = self.redis.run(&call).await?;
        let pages = pages.chunks_exact(2).map(|pair| {
            Page::parse(&pair[0], &pair[1]).ok_or(StoreError::Unreadable("page of the register"))
        });
        let pages: Vec<Page> = pages.collect::<Result<_, _>>()?;
        let linked: Vec<CaseId> = linked.into_iter().filter_map(|id| CaseId::try_from(id).ok()).collect();
        walk.step(pages.len() + linked.len());
        Ok(Some(Listed { now_ms, pages, linked }))
    }

    /// Those of the cases of which the register has no page.
    pub async fn strangers(&self, ente: &str, cases: &[CaseId]) -> Result<Vec<CaseId>, StoreError> {
        let mut call = self.redis.scripts.strangers.prepare_invoke();
        call.key(self.redis.ente(ente));
        for case in cases {
            call.arg(&case[..]);
        }
        let found: Vec<Vec<u8>> = self.redis.run(&call).await?;
        Ok(found.into_iter().filter_map(|id| CaseId::try_from(id).ok()).collect())
    }

    /// How the register of an ente stands; the default if nothing was entered.
    pub async fn stand(&self, ente: &str) -> Result<Stand, StoreError> {
        let text: Option<String> = self.redis.ask(redis::cmd("GET").arg(self.key(ente, "read"))).await?;
        Ok(text.as_deref().and_then(Stand::parse).unwrap_or_default())
    }

    /// The last comparison, whichever process made it.
    pub async fn compared(&self, ente: &str) -> Result<Option<Compared>, StoreError> {
        let text: Option<String> = self.redis.ask(redis::cmd("GET").arg(self.key(ente, "compared"))).await?;
        let numbers = text.as_deref().and_then(numbers);
        Ok(numbers.map(|[difference, at_ms]| Compared { difference, at_ms }))
    }

    /// Notes a comparison.
    pub async fn note(&self, ente: &str, compared: Compared) -> Result<(), StoreError> {
        let text = format!("{} {}", compared.difference, compared.at_ms);
        self.redis.ask(redis::cmd("SET").arg(self.key(ente, "compared")).arg(text)).await
    }

    fn key(&self, ente: &str, name: &str) -> String {
        format!("{}{name}", self.redis.ente(ente))
    }
}

fn numbers<const N: usize, T: std::str::FromStr>(text: &str) -> Option<[T; N]> {
    let numbers: Option<Vec<T>> = text.split(' ').map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_it_was_written() {
        let marks = vec![([1, 2, 3, 4], Mark::Open), ([9; 4], Mark::Sent)];
        let page = Page { case: [7; 12], day: 20_777, marks };
        let stored = [&page.day.to_be_bytes()[..], &page.marks()].concat();
        assert_eq!(Page::parse(&[7; 12], &stored), Some(page));
        assert_eq!(Page::parse(&[7; 12], &stored[..9]), None);
    }

    #[test]
    fn a_walk_passes_every_bucket_once_in_steps_that_fit() {
        for (found, steps) in [(0, 38), (2_000, 2_048)] {
            let (mut walk, mut seen, mut count) = (Walk::default(), 0, 0);
            while let Some(buckets) = walk.left() {
                (seen, count) = (seen + buckets.len(), count + 1);
                walk.step(found);
            }
            assert_eq!((u32::try_from(seen).unwrap(), count), (BUCKETS, steps), "{found}");
        }
    }

    #[test]
    fn a_walk_through_some_buckets_passes_no_other() {
        let mut occupied = Occupied::default();
        for case in [[0xff; 12], [0; 12], [1; 12], [1; 12]] {
            occupied.note(&case);
        }
        let walk = Walk::through(&occupied);
        assert_eq!((walk.left(), walk.is_whole()), (Some(&[0, 0x0101, 0xffff][..]), false));
        assert_eq!(Walk::through(&Occupied::default()).left(), None);
    }

    #[test]
    fn a_stand_reads_as_it_was_written() {
        let stand = Stand::default().next([5, 7]);
        assert_eq!(Stand::parse(&stand.text()), Some(stand));
        assert_eq!((Stand::default().text(), Stand::parse("")), (String::new(), None));
    }

    #[test]
    fn what_came_further_is_higher() {
        assert!(Mark::Open < Mark::NotSent && Mark::NotSent < Mark::Sent);
        assert!(Mark::Open.byte() < Mark::NotSent.byte() && Mark::NotSent.byte() < Mark::Sent.byte());
    }
}
