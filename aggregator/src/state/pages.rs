//! Rows in small pages that are copied on write: a write while a snapshot is held copies sixteen
//! references and not all of them.

use std::sync::Arc;

use super::record::Record;

/// Rows in one page: 4,096 events of as many devices, right after a snapshot was begun, copy no more
/// than 65,536 references.
const PAGE: usize = 16;

/// Where a row stands: rows are added and never removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(u32);

impl Record for Slot {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        u32::read(from).map(Self)
    }
}

impl Slot {
    const fn place(self) -> (usize, usize) {
        (self.0 as usize / PAGE, self.0 as usize % PAGE)
    }
}

/// Rows in the order in which they came.
#[derive(Clone, Debug)]
pub(super) struct Pages<T> {
    pages: Vec<Arc<[Option<T>; PAGE]>>,
    len: u32,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Pages<T> {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn at(&self, slot: Slot) -> Option<&T> {
        let (page, place) = slot.place();
        self.pages.get(page)?.get(place)?.as_ref()
    }

    /// Copies the row's page where a clone still holds it.
    pub(super) fn at_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let (page, place) = slot.place();
        Arc::make_mut(self.pages.get_mut(page)?).get_mut(place)?.as_mut()
    }

    pub(super) fn push(&mut self, row: T) -> Slot {
        let slot = Slot(self.len);
        let (page, place) = slot.place();
        if page == self.pages.len() {
            self.pages.push(Arc::new([const { None }; PAGE]));
        }
        if let Some(page) = self.pages.get_mut(page)
            && let Some(free) = Arc::make_mut(page).get_mut(place)
        {
            *free = Some(row);
        }
        self.len += 1;
        slot
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        (0..self.len).map(Slot).filter_map(|slot| Some((slot, self.at(slot)?)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_clone_keeps_what_it_held_and_little_is_copied() {
        let mut pages = Pages::default();
        let slots: Vec<Slot> = (0..1_000).map(|row| pages.push(row)).collect();
        let before = pages.clone();
        *pages.at_mut(slots[7]).unwrap() = 700;
        pages.push(1_000);
        assert_eq!((before.at(slots[7]), before.len()), (Some(&7), 1_000));
        assert_eq!((pages.at(slots[7]), pages.len()), (Some(&700), 1_001));
        assert!(pages.iter().zip(before.iter()).all(|(now, then)| now.0 == then.0));
        let pairs = pages.pages.iter().zip(&before.pages);
        assert_eq!(pairs.filter(|(now, then)| !Arc::ptr_eq(now, then)).count(), 2);
        assert_eq!(before.at(Slot(1_000)), None);
    }
}
