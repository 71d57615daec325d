//! A pattern as steps of an automaton that follows all its ways at once: no backtracking, so that no tag a
//! sender makes up costs more than its length.

/// Most steps of a program: one per literal byte, about three per `*`.
pub(super) const MAX_STEPS: usize = 1_024;
const WORDS: usize = MAX_STEPS / 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Takes this byte.
    Byte(u8),
    /// Takes a byte that is not a dot.
    NotDot,
    /// Takes any byte.
    Any,
    /// Goes on at both places.
    Split(usize, usize),
    /// Goes on elsewhere.
    Jump(usize),
    /// Goes on at the start of the tag only.
    AtStart,
    /// Goes on before a dot or at the end of the tag only: what stands between a name and `.**`.
    BeforeDot,
    /// Takes the tag if it is at its end.
    Done,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Program(Box<[Step]>);

impl Program {
    /// Compiles a pattern; `None` when it is too long.
    pub(super) fn compile(text: &str) -> Option<Self> {
        let mut compiler = Compiler::default();
        let mut rest = text.chars();
        while compiler.next(&mut rest) {
            if compiler.steps.len() >= MAX_STEPS {
                return None;
            }
        }
        let mut steps = compiler.finish();
        steps.push(Step::Done);
        (steps.len() <= MAX_STEPS).then(|| Self(steps.into_boxed_slice()))
    }

    /// Whether it takes the whole of `tag`.
    pub(super) fn matches(&self, tag: &[u8]) -> bool {
        let mut now = States::default();
        self.enter(0, 0, tag, &mut now);
        for (position, byte) in tag.iter().enumerate() {
            let mut next = States::default();
            for at in now.iter() {
                let takes = match self.0.get(at) {
                    Some(Step::Byte(own)) => own == byte,
                    Some(Step::NotDot) => *byte != b'.',
                    Some(Step::Any) => true,
                    _ => false,
                };
                if takes {
                    self.enter(at + 1, position + 1, tag, &mut next);
                }
            }
            now = next;
        }
        now.contains(self.0.len() - 1)
    }

    /// Notes the step at `at` and whatever it leads to without taking a byte.
    fn enter(&self, mut at: usize, position: usize, tag: &[u8], states: &mut States) {
        while states.insert(at) {
            at = match self.0.get(at) {
                Some(Step::Split(one, other)) => {
                    self.enter(*one, position, tag, states);
                    *other
                }
                Some(Step::Jump(to)) => *to,
                Some(Step::AtStart) if position == 0 => at + 1,
                Some(Step::BeforeDot) if tag.get(position).is_none_or(|byte| *byte == b'.') => {
                    at + 1
                }
                _ => return,
            };
        }
    }
}

/// A set of steps.
#[derive(Debug, Clone, Default)]
struct States([u64; WORDS]);

impl States {
    /// Adds a step; `false` when it was there.
    fn insert(&mut self, at: usize) -> bool {
        let bit = 1 << (at % 64);
        match self.0.get_mut(at / 64) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }

    fn contains(&self, at: usize) -> bool {
        self.0
            .get(at / 64)
            .is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        (0..).step_by(64).zip(self.0).flat_map(|(base, word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.checked_sub(1)?;
                Some(base + bit)
            })
        })
    }
}

#[derive(Default)]
struct Compiler {
    steps: Vec<Step>,
    /// Braces that are open.
    groups: Vec<Group>,
    /// A dot was read. It is written when something other than `**` follows; a last one counts for nothing.
    dot: bool,
}

/// An open brace.
struct Group {
    /// Where the choice between the current alternative and the next stands.
    choice: usize,
    /// Where each finished alternative jumps out.
    exits: Vec<usize>,
}

impl Compiler {
    /// Compiles what comes next; `false` at the end.
    fn next(&mut self, rest: &mut std::str::Chars<'_>) -> bool {
        let text = rest.as_str();
        if let Some(after) = text.strip_prefix("**") {
            if std::mem::take(&mut self.dot) {
                self.steps.push(Step::BeforeDot);
            }
            if let Some(after) = after.strip_prefix('.') {
                self.parts();
                *rest = after.chars();
            } else {
                self.repeat(Step::Any);
                *rest = after.chars();
            }
            return true;
        }
        let Some(c) = rest.next() else {
            return false;
        };
        if std::mem::take(&mut self.dot) {
            self.steps.push(Step::Byte(b'.'));
        }
        match c {
            '.' => self.dot = true,
            '*' => self.repeat(Step::NotDot),
            '{' => self.open(),
            ',' if !self.groups.is_empty() => self.next_alternative(),
            '}' if !self.groups.is_empty() => self.close(),
            '\\' => {
                if let Some(literal) = rest.next() {
                    self.literal(literal);
                }
            }
            literal => self.literal(literal),
        }
        true
    }

    fn literal(&mut self, c: char) {
        let mut bytes = [0; 4];
        let text = c.encode_utf8(&mut bytes);
        self.steps.extend(text.bytes().map(Step::Byte));
    }

    /// Any number of times `step`.
    fn repeat(&mut self, step: Step) {
        let at = self.steps.len();
        self.steps
            .extend([Step::Split(at + 1, at + 3), step, Step::Jump(at)]);
    }

    /// `**.`: any number of whole parts at the start, at least a dot elsewhere.
    fn parts(&mut self) {
        let at = self.steps.len();
        self.steps.push(Step::Split(at + 1, at + 6));
        self.repeat(Step::Any);
        self.steps
            .extend([Step::Byte(b'.'), Step::Jump(at + 7), Step::AtStart]);
    }

    fn open(&mut self) {
        self.groups.push(Group {
            choice: self.steps.len(),
            exits: Vec::new(),
        });
        self.steps.push(Step::Jump(self.steps.len() + 1));
    }

    fn next_alternative(&mut self) {
        let here = self.steps.len();
        if let Some(group) = self.groups.last_mut() {
            group.exits.push(here);
            if let Some(choice) = self.steps.get_mut(group.choice) {
                *choice = Step::Split(group.choice + 1, here + 1);
            }
            group.choice = here + 1;
        }
        // The exit is set when the brace closes; the choice when another alternative follows.
        self.steps.extend([Step::Jump(here), Step::Jump(here + 2)]);
    }

    fn close(&mut self) {
        let here = self.steps.len();
        let exits = self.groups.pop().map(|group| group.exits);
        for at in exits.unwrap_or_default() {
            if let Some(exit) = self.steps.get_mut(at) {
                *exit = Step::Jump(here);
            }
        }
    }

    /// Closes what is open, as Fluentd does.
    fn finish(mut self) -> Vec<Step> {
        while !self.groups.is_empty() {
            self.close();
        }
        self.steps
    }
}
