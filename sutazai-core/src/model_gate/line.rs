//! Fair queue in front of the model, which decides which request is next.

use std::collections::VecDeque;

use crate::domain::UserId;

/// Priority class of a request to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A person or a program waits for the answer: first in the queue, under the limits of its caller.
    Interactive,
    /// Part of a task: when no interactive request is queued, and after every third one otherwise.
    Background,
}

/// Tenant that a request counts for; `None` is the embedder.
pub(super) type Share = Option<UserId>;

/// Queue entry of one request, waiting or running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(pub(super) u64);

/// Number of consecutive interactive requests after which a waiting background request is granted.
const MAX_CONSECUTIVE_INTERACTIVE: u32 = 3;

/// Queued requests. Each class is round-robin across users, however many requests each of them has. Interactive
/// requests go first, but every fourth grant is a background request's if one waits: strict priority would starve tasks
/// as long as people keep asking.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    interactive: Turns,
    background: Turns,
    in_a_row: u32,
}

impl Line {
    /// Appends a request to the queue of its user.
    pub(super) fn push(&mut self, share: Share, urgency: Urgency, ticket: Ticket) {
        match urgency {
            Urgency::Interactive => self.interactive.push(share, ticket),
            Urgency::Background => self.background.push(share, ticket),
        }
    }

    /// Removes and returns the next request whose tenant `may` have a slot now. The others keep their place.
    pub(super) fn pop(&mut self, may: impl Fn(Share) -> bool) -> Option<(Share, Ticket)> {
        let turn_of_background = self.interactive.is_empty() || self.in_a_row >= MAX_CONSECUTIVE_INTERACTIVE;
        if !turn_of_background && let Some(next) = self.interactive.pop(&may) {
            // Consecutive interactive grants count only while a background request waits.
            self.in_a_row = if self.background.is_empty() { 0 } else { self.in_a_row + 1 };
            return Some(next);
        }
        if let Some(next) = self.background.pop(&may) {
            self.in_a_row = 0;
            return Some(next);
        }
        self.interactive.pop(&may)
    }

    /// Removes a request that no longer waits; returns whether it was queued.
    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        self.interactive.remove(ticket) || self.background.remove(ticket)
    }

    pub(super) fn len(&self) -> usize {
        self.interactive.len() + self.background.len()
    }
}

/// Round-robin across users, each with a queue of requests.
#[derive(Debug, Clone, Default)]
struct Turns(VecDeque<(Share, VecDeque<Ticket>)>);

impl Turns {
    fn push(&mut self, share: Share, ticket: Ticket) {
        match self.0.iter_mut().find(|(user, _)| *user == share) {
            Some((_, tickets)) => tickets.push_back(ticket),
            None => self.0.push_back((share, VecDeque::from([ticket]))),
        }
    }

    fn pop(&mut self, may: impl Fn(Share) -> bool) -> Option<(Share, Ticket)> {
        let next = self.0.iter().position(|(share, _)| may(*share))?;
        let (share, mut tickets) = self.0.remove(next)?;
        let ticket = tickets.pop_front()?;
        if !tickets.is_empty() {
            self.0.push_back((share, tickets));
        }
        Some((share, ticket))
    }

    fn remove(&mut self, ticket: Ticket) -> bool {
        let before = self.len();
        self.0.iter_mut().for_each(|(_, tickets)| tickets.retain(|other| *other != ticket));
        self.0.retain(|(_, tickets)| !tickets.is_empty());
        self.len() < before
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn len(&self) -> usize {
        self.0.iter().map(|(_, tickets)| tickets.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &mut Line) -> Vec<u64> {
        std::iter::from_fn(|| line.pop(|_| true)).map(|(_, ticket)| ticket.0).collect()
    }

    #[test]
    fn queue_is_round_robin_across_users() {
        let [greedy, modest, late] = [0; 3].map(|_| Some(UserId::new()));
        let mut line = Line::default();
        for ticket in 1..=4 {
            line.push(greedy, Urgency::Interactive, Ticket(ticket));
        }
        line.push(modest, Urgency::Interactive, Ticket(11));
        line.push(modest, Urgency::Interactive, Ticket(12));
        line.push(late, Urgency::Interactive, Ticket(21));
        assert_eq!(line.len(), 7);
        assert_eq!(order(&mut line), [1, 11, 21, 2, 12, 3, 4]);
    }

    #[test]
    fn interactive_requests_go_first_without_starving_tasks() {
        let mut line = Line::default();
        for ticket in 1..=2 {
            line.push(None, Urgency::Background, Ticket(100 + ticket));
        }
        for ticket in 1..=8 {
            line.push(None, Urgency::Interactive, Ticket(ticket));
        }
        assert_eq!(order(&mut line), [1, 2, 3, 101, 4, 5, 6, 102, 7, 8]);
    }

    #[test]
    fn grants_without_a_waiting_task_do_not_count() {
        let mut line = Line::default();
        for ticket in 1..=5 {
            line.push(None, Urgency::Interactive, Ticket(ticket));
        }
        for expected in 1..=3 {
            assert_eq!(line.pop(|_| true), Some((None, Ticket(expected))));
        }
        line.push(None, Urgency::Background, Ticket(100));
        assert_eq!(order(&mut line), [4, 5, 100]);
    }

    #[test]
    fn user_who_may_have_no_slot_is_passed_over_and_keeps_the_place() {
        let [greedy, modest] = [0; 2].map(|_| Some(UserId::new()));
        let mut line = Line::default();
        line.push(greedy, Urgency::Interactive, Ticket(1));
        line.push(greedy, Urgency::Background, Ticket(2));
        line.push(modest, Urgency::Background, Ticket(3));
        assert_eq!(line.pop(|share| share != greedy), Some((modest, Ticket(3))));
        assert_eq!(line.pop(|share| share != greedy), None);
        line.push(modest, Urgency::Interactive, Ticket(4));
        assert_eq!(order(&mut line), [1, 4, 2]);
    }

    #[test]
    fn removed_request_is_skipped() {
        let mut line = Line::default();
        for ticket in 1..=3 {
            line.push(None, Urgency::Background, Ticket(ticket));
        }
        assert!(line.remove(Ticket(2)));
        assert!(!line.remove(Ticket(2)));
        assert_eq!(order(&mut line), [1, 3]);
    }
}
