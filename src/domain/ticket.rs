//! Who works on a fleet: tickets, which are volumes of an engine that hold nothing.
//!
//! A volume can be made without an image and without a process, costs a folder, and every engine has them. Names
//! of tickets are never used twice, so removing a dead one takes nothing away from anybody. One works on a fleet
//! when its ticket is the only one among the living, in a list that was read after the ticket was made: of two of
//! whom each sees only itself one would have to be listed before it was made.

use serde::{Deserialize, Serialize};

use super::name::FleetName;

/// What a ticket says of its holder. Nothing in it is secret: everybody who may use the engine reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Chance, once per piece of work.
    pub id: String,
    /// What is done (`up`).
    pub work: String,
    /// Name of the machine it is done on, for people.
    pub host: String,
    /// Where `pid` means something: the same for processes that see each other, empty where nothing tells that.
    pub machine: String,
    /// Process.
    pub pid: u32,
    /// When the process began, in its kernel's ticks: numbers of processes come again.
    pub born: u64,
    /// When it began to ask, seconds since 1970 by its own clock.
    pub since: i64,
}

/// One ticket: its holder and how often that has said since that it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Name of the volume.
    pub name: String,
    /// Whose it is.
    pub holder: Holder,
    /// Grows with each sign of life, from 0.
    pub beat: u64,
}

/// What to do after a look at all living tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn<'a> {
    /// Nobody else is there: work.
    Mine,
    /// Keep the ticket and look again: who is there is named.
    Wait(&'a Holder),
    /// Others asked before: show no ticket and come again, or none would ever be alone.
    GiveWay(&'a Holder),
}

/// Name of the volume for a holder's sign of life.
pub fn name(fleet: &FleetName, id: &str, beat: u64) -> String {
    format!("kindmesh-lock-{fleet}-{id}-{beat}")
}

/// Whose turn it is, as `me` sees it, with a ticket among these or without.
pub fn turn<'a>(me: &Holder, living: &'a [Ticket]) -> Turn<'a> {
    let order = |holder: &Holder| (holder.since, holder.id.clone());
    let others = living.iter().map(|ticket| &ticket.holder).filter(|holder| holder.id != me.id);
    match others.min_by_key(|holder| order(holder)) {
        None => Turn::Mine,
        Some(first) if order(me) < order(first) => Turn::Wait(first),
        Some(first) => Turn::GiveWay(first),
    }
}

// === impl Holder ===

impl Holder {
    /// For people: `` `up` (process 4711 on box) ``.
    pub fn describe(&self) -> String {
        format!("`{}` (process {} on {})", self.work, self.pid, self.host)
    }

    /// The label's value.
    pub fn to_label(&self) -> String {
        // A struct of strings and numbers always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

// === impl Ticket ===

impl Ticket {
    /// Reads a volume; `None` for one that is no ticket.
    pub fn read(name: &str, label: &str) -> Option<Self> {
        let holder: Holder = serde_json::from_str(label).ok()?;
        let beat = name.rsplit_once('-')?.1.parse().ok()?;
        Some(Self { name: name.to_owned(), holder, beat })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(id: &str, since: i64) -> Ticket {
        let holder =
            Holder { id: id.to_owned(), work: "up".to_owned(), host: "box".to_owned(), machine: String::new(), pid: 7, born: 1, since };
        Ticket { name: name(&"demo".parse().unwrap(), id, 3), holder, beat: 3 }
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written() {
        let ticket = ticket("a1", 5);
        assert_eq!(ticket.name, "kindmesh-lock-demo-a1-3");
        assert_eq!(Ticket::read(&ticket.name, &ticket.holder.to_label()), Some(ticket.clone()));
        assert_eq!(Ticket::read(&ticket.name, "else"), None);
        assert_eq!(ticket.holder.describe(), "`up` (process 7 on box)");
    }

    #[test]
    fn who_is_alone_works_and_of_others_one_waits() {
        let (early, late) = (ticket("b", 1), ticket("a", 2));
        assert_eq!(turn(&early.holder, std::slice::from_ref(&early)), Turn::Mine);
        assert_eq!(turn(&early.holder, &[]), Turn::Mine);
        let both = [late.clone(), early.clone()];
        assert_eq!(turn(&early.holder, &both), Turn::Wait(&late.holder));
        assert_eq!(turn(&late.holder, &both), Turn::GiveWay(&early.holder));
        // Asked in the same second: the order is any, but one order.
        let (x, y) = (ticket("x", 1), ticket("y", 1));
        let same = [x.clone(), y.clone()];
        assert_eq!((turn(&x.holder, &same), turn(&y.holder, &same)), (Turn::Wait(&same[1].holder), Turn::GiveWay(&same[0].holder)));
    }
}
