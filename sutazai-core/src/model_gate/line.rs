//! The line in front of the model: who comes next.

use std::collections::VecDeque;

use super::gate::Urgency;
use crate::domain::UserId;

/// Whose turn it is counted as; none is the embedder itself.
pub(super) type Share = Option<UserId>;

/// One request, waiting or running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(pub(super) u64);

/// So many interactive requests in a row go before background work that waits gets its turn.
const IN_A_ROW: u32 = 3;

/// Waiting requests. Users take turns, however many requests each has; interactive work goes first, but every fourth
/// turn is the background's when it waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    interactive: Turns,
    background: Turns,
    in_a_row: u32,
}

impl Line {
    /// At the end of what its user waits for.
    pub(super) fn push(&mut self, share: Share, urgency: Urgency, ticket: Ticket) {
        match urgency {
            Urgency::Interactive => self.interactive.push(share, ticket),
            Urgency::Background => self.background.push(share, ticket),
        }
    }

    /// Takes out who comes next.
    pub(super) fn pop(&mut self) -> Option<Ticket> {
        let turn_of_background = self.interactive.is_empty() || self.in_a_row >= IN_A_ROW;
        if turn_of_background && let Some(ticket) = self.background.pop() {
            self.in_a_row = 0;
            return Some(ticket);
        }
        let ticket = self.interactive.pop()?;
        // Nobody was passed over while nobody waited.
        self.in_a_row = if self.background.is_empty() { 0 } else { self.in_a_row + 1 };
        Some(ticket)
    }

    /// Takes out one that waits no more; whether it was there.
    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        self.interactive.remove(ticket) || self.background.remove(ticket)
    }

    pub(super) fn len(&self) -> usize {
        self.interactive.len() + self.background.len()
    }
}

/// Users in turn, each with its requests in order.
#[derive(Debug, Clone, Default)]
struct Turns(VecDeque<(Share, VecDeque<Ticket>)>);

impl Turns {
    fn push(&mut self, share: Share, ticket: Ticket) {
        match self.0.iter_mut().find(|(user, _)| *user == share) {
            Some((_, tickets)) => tickets.push_back(ticket),
            None => self.0.push_back((share, VecDeque::from([ticket]))),
        }
    }

    fn pop(&mut self) -> Option<Ticket> {
        let (share, mut tickets) = self.0.pop_front()?;
        let ticket = tickets.pop_front();
        if !tickets.is_empty() {
            self.0.push_back((share, tickets));
        }
        ticket
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
        std::iter::from_fn(|| line.pop()).map(|ticket| ticket.0).collect()
    }

    #[test]
    fn users_take_turns() {
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
    fn people_go_before_tasks_and_tasks_do_not_starve() {
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
    fn interactive_turns_while_no_task_waited_are_not_held_against_the_next() {
        let mut line = Line::default();
        for ticket in 1..=5 {
            line.push(None, Urgency::Interactive, Ticket(ticket));
        }
        for expected in 1..=3 {
            assert_eq!(line.pop(), Some(Ticket(expected)));
        }
        line.push(None, Urgency::Background, Ticket(100));
        assert_eq!(order(&mut line), [4, 5, 100]);
    }

    #[test]
    fn who_leaves_the_line_is_passed_over() {
        let mut line = Line::default();
        for ticket in 1..=3 {
            line.push(None, Urgency::Background, Ticket(ticket));
        }
        assert!(line.remove(Ticket(2)));
        assert!(!line.remove(Ticket(2)));
        assert_eq!(order(&mut line), [1, 3]);
    }
}
