//! Where things stand: clusters on an ellipse, arrows between them as curves.

use std::f64::consts::TAU;

/// Width of a cluster's card, in pixels.
pub const CARD_WIDTH: f64 = 268.0;
/// Height of a card without lines.
const CARD_HEAD: f64 = 46.0;
/// Height of a line of text.
pub const LINE: f64 = 18.0;

/// A point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

/// A card around its centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Card {
    /// Its centre.
    pub centre: Point,
    /// Its height.
    pub height: f64,
}

/// A curve with one control point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    /// Where it begins.
    pub from: Point,
    /// What bends it.
    pub control: Point,
    /// Where it ends.
    pub to: Point,
}

/// Cards for clusters with so many lines each, around the origin.
pub fn cards(lines: &[usize]) -> Vec<Card> {
    let count = lines.len();
    let (rx, ry) = match count {
        0 | 1 => (0.0, 0.0),
        2 => (260.0, 0.0),
        3 => (300.0, 200.0),
        4 => (350.0, 230.0),
        _ => (85.0 * count as f64, 68.0 * count as f64),
    };
    // Two stand side by side, odd numbers have one on top, even ones two.
    let first = match count {
        2 => TAU / 2.0,
        odd if odd % 2 == 1 => -TAU / 4.0,
        even => -TAU / 4.0 - TAU / (2.0 * even as f64),
    };
    let card = |(index, lines): (usize, &usize)| {
        let angle = first + TAU * index as f64 / count as f64;
        Card { centre: Point { x: rx * angle.cos(), y: ry * angle.sin() }, height: CARD_HEAD + LINE * *lines as f64 }
    };
    lines.iter().enumerate().map(card).collect()
}

/// A curve from card to card that keeps to the right of the straight line, so that two in opposite
/// directions stand apart.
pub fn curve(from: &Card, to: &Card) -> Curve {
    let (a, b) = (from.centre, to.centre);
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let bend = 0.14;
    let control = Point { x: (a.x + b.x) / 2.0 - dy * bend, y: (a.y + b.y) / 2.0 + dx * bend };
    Curve { from: from.edge(control, 0.0), control, to: to.edge(control, 5.0) }
}

// === impl Card ===

impl Card {
    /// Upper left corner.
    pub fn corner(&self) -> Point {
        Point { x: self.centre.x - CARD_WIDTH / 2.0, y: self.centre.y - self.height / 2.0 }
    }

    /// Where the line from its centre to `target` leaves it, with a gap.
    fn edge(&self, target: Point, gap: f64) -> Point {
        let (dx, dy) = (target.x - self.centre.x, target.y - self.centre.y);
        let (half_width, half_height) = (CARD_WIDTH / 2.0 + gap, self.height / 2.0 + gap);
        let reach = |half: f64, way: f64| if way.abs() < 1e-9 { f64::INFINITY } else { half / way.abs() };
        let share = reach(half_width, dx).min(reach(half_height, dy)).min(1.0);
        Point { x: self.centre.x + dx * share, y: self.centre.y + dy * share }
    }
}

// === impl Curve ===

impl Curve {
    /// The point at a share of the way.
    pub fn at(&self, share: f64) -> Point {
        let rest = 1.0 - share;
        let mix = |from: f64, control: f64, to: f64| rest * rest * from + 2.0 * rest * share * control + share * share * to;
        Point { x: mix(self.from.x, self.control.x, self.to.x), y: mix(self.from.y, self.control.y, self.to.y) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_never_touch() {
        for count in 1..=12 {
            let cards = cards(&vec![7; count]);
            for (index, a) in cards.iter().enumerate() {
                for b in &cards[index + 1..] {
                    let apart_x = (a.centre.x - b.centre.x).abs() - CARD_WIDTH;
                    let apart_y = (a.centre.y - b.centre.y).abs() - (a.height + b.height) / 2.0;
                    assert!(apart_x.max(apart_y) > 25.0, "{count}: {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn curves_end_at_cards_and_opposite_ones_stand_apart() {
        let cards = cards(&[4, 4]);
        let (there, back) = (curve(&cards[0], &cards[1]), curve(&cards[1], &cards[0]));
        assert!((there.from.x + 260.0 - CARD_WIDTH / 2.0).abs() < 1.0, "{there:?}");
        let (a, b) = (there.at(0.5), back.at(0.5));
        assert!((a.y - b.y).abs() > 30.0, "{a:?} {b:?}");
    }
}
