//! Places for the trees in flight, and the tickets by which answers find them.

use crate::tree_search::TreeSearch;

/// A place for a tree in flight.
#[derive(Default)]
struct Slot {
    tree: Option<Box<TreeSearch>>,
    /// Serial of the next request.
    serial: u64,
    /// Serial of the tree's first request.
    first_serial: u64,
    /// Requests that the policy still has of a tree that was given up, and that tree.
    abandoned: usize,
    given_up: u64,
    /// Where the tree is among the turns, while it is not here.
    turn: usize,
}

/// The slots. The ticket of a pending request is `serial * in_flight + place`, so that the ticket alone leads to the
/// slot.
pub(super) struct Slots {
    slots: Vec<Slot>,
    in_flight: u64,
}

/// Whose answer a ticket is.
pub(super) enum Owner {
    /// That of the tree in this place, which has its own number for the request.
    Tree { place: usize, ticket: u64 },
    /// That of a tree which was given up in this place.
    Abandoned { place: usize },
}

impl Slots {
    /// No slot yet: they are made one by one, so that a large `in_flight` costs nothing where there are few jobs.
    pub(super) fn new(in_flight: usize) -> Slots {
        Slots { slots: Vec::new(), in_flight: in_flight as u64 }
    }

    /// The place of a new slot; `None` if there are as many as may be.
    pub(super) fn open(&mut self) -> Option<usize> {
        ((self.slots.len() as u64) < self.in_flight).then(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        })
    }

    /// Whether a tree can begin here.
    pub(super) fn is_free(&self, place: usize) -> bool {
        self.slots[place].tree.is_none() && self.slots[place].abandoned == 0
    }

    /// Begins a tree: the next ticket is its first.
    pub(super) fn begin(&mut self, place: usize) {
        self.slots[place].first_serial = self.slots[place].serial;
    }

    /// A ticket for the next request of the tree of this place.
    pub(super) fn issue(&mut self, place: usize) -> u64 {
        let slot = &mut self.slots[place];
        slot.serial += 1;
        (slot.serial - 1) * self.in_flight + place as u64
    }

    /// Whose answer this ticket is; `None` if it was not issued, or for a tree that is finished.
    pub(super) fn owner(&self, ticket: u64) -> Option<Owner> {
        let place = (ticket % self.in_flight) as usize;
        let serial = ticket / self.in_flight;
        let slot = self.slots.get(place).filter(|slot| serial < slot.serial)?;
        if slot.abandoned > 0 {
            return Some(Owner::Abandoned { place });
        }
        Some(Owner::Tree { place, ticket: serial.checked_sub(slot.first_serial)? })
    }

    /// The tree that waits for the answer to this ticket, if it is in its place.
    pub(super) fn waiting(&self, ticket: u64) -> Option<&TreeSearch> {
        self.slots.get((ticket % self.in_flight) as usize)?.tree.as_deref()
    }

    /// Takes out the tree for turn `turn`, if it is here and awaits this answer.
    pub(super) fn take_if_awaits(&mut self, place: usize, ticket: u64, turn: usize) -> Option<Box<TreeSearch>> {
        let slot = &mut self.slots[place];
        let tree = slot.tree.take_if(|tree| tree.awaits(ticket))?;
        slot.turn = turn;
        Some(tree)
    }

    /// Takes out the tree, whatever it waits for.
    pub(super) fn take(&mut self, place: usize) -> Option<Box<TreeSearch>> {
        self.slots[place].tree.take()
    }

    /// Puts a tree back until its next answer.
    pub(super) fn put(&mut self, place: usize, tree: Box<TreeSearch>) {
        self.slots[place].tree = Some(tree);
    }

    /// The turn that the tree of this place was last taken out for.
    pub(super) fn turn(&self, place: usize) -> usize {
        self.slots[place].turn
    }

    /// Notes that tree `index` is given up while `abandoned` of its requests are pending; the slot waits for them.
    pub(super) fn abandon(&mut self, place: usize, index: u64, abandoned: usize) {
        let slot = &mut self.slots[place];
        (slot.abandoned, slot.given_up) = (abandoned, index);
    }

    /// One request less is pending of the tree that was given up here. The tree's index when it was the last.
    pub(super) fn lose_one(&mut self, place: usize) -> Option<u64> {
        let slot = &mut self.slots[place];
        slot.abandoned -= 1;
        (slot.abandoned == 0).then_some(slot.given_up)
    }

    /// The place of a tree of which requests are pending.
    pub(super) fn place_of(&self, index: u64) -> Option<usize> {
        self.slots.iter().position(|slot| match &slot.tree {
            Some(tree) => tree.index() == index,
            None => slot.abandoned > 0 && slot.given_up == index,
        })
    }
}
