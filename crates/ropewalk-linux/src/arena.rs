//! Memory for programs that live for milliseconds: a fixed piece that is handed out from front to
//! back, without a system call and hardly ever reused. What does not fit comes from the system,
//! and so does everything that a program asks for later if it lives on.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::UnsafeCell,
    sync::atomic::{
        AtomicUsize,
        Ordering::{AcqRel, Relaxed},
    },
};

/// Pages that nobody touches cost nothing.
const SIZE: usize = 4 * 1024 * 1024;

/// More than any type's alignment; what wants more goes to the system.
const ALIGNMENT: usize = 4096;

/// An allocator: a fixed piece of memory first, then the system's.
///
/// ```
/// #[global_allocator]
/// static MEMORY: ropewalk_linux::Arena = ropewalk_linux::Arena::new();
/// ```
#[derive(Debug)]
pub struct Arena {
    piece: Piece,
    used: AtomicUsize,
}

#[repr(C, align(4096))]
#[derive(Debug)]
struct Piece(UnsafeCell<[u8; SIZE]>);

// SAFETY: `used` gives every byte of the piece to one caller at a time.
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena of which nothing is used. Only one that is a static takes no space in the binary.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default would be put on the stack")]
    #[expect(clippy::large_stack_arrays, reason = "it is made when the program is compiled")]
    pub const fn new() -> Self {
        Self { piece: Piece(UnsafeCell::new([0; SIZE])), used: AtomicUsize::new(0) }
    }

    fn start(&self) -> usize {
        self.piece.0.get() as usize
    }

    /// Takes the next bytes; `None` if there are not enough.
    fn take(&self, layout: Layout) -> Option<usize> {
        let place = |used: usize| used.checked_next_multiple_of(layout.align());
        let next = |used| place(used)?.checked_add(layout.size()).filter(|end| *end <= SIZE);
        let used = self.used.fetch_update(AcqRel, Relaxed, next).ok()?;
        place(used)
    }

    /// Where a pointer lies in the piece; `None` for one of the system's.
    fn offset(&self, pointer: *mut u8) -> Option<usize> {
        (pointer as usize).checked_sub(self.start()).filter(|offset| *offset < SIZE)
    }

    /// Moves the end of what was taken last; `false` if something was taken after it.
    fn move_end(&self, offset: usize, old: usize, new: usize) -> bool {
        let (old, new) = (offset + old, offset.saturating_add(new));
        new <= SIZE && self.used.compare_exchange(old, new, AcqRel, Relaxed).is_ok()
    }
}

// SAFETY: pieces do not overlap, because `used` only grows but for what was taken last and is
// given back, and who takes that sees what was done to it before; they are aligned, because the whole piece is and offsets are multiples of the
// alignment; what the system gave goes back to the system.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Some(layout).filter(|_| layout.align() <= ALIGNMENT).and_then(|it| self.take(it)) {
            // SAFETY: the offset lies within the piece.
            Some(offset) => unsafe { self.piece.0.get().cast::<u8>().add(offset) },
            // SAFETY: the caller's promises are passed on.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.offset(pointer) {
            Some(offset) => {
                self.move_end(offset, layout.size(), 0);
            }
            // SAFETY: it is not ours, so the system gave it.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(pointer) else {
            // SAFETY: it is not ours, so the system gave it.
            return unsafe { System.realloc(pointer, layout, size) };
        };
        if size <= layout.size() || self.move_end(offset, layout.size(), size) {
            return pointer;
        }
        // SAFETY: the size is not zero and, with this alignment, not too large, says the caller;
        // both pieces have as many bytes as are copied and do not overlap.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                pointer.copy_to_nonoverlapping(new, layout.size());
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static ARENA: Arena = Arena::new();

    #[test]
    fn pieces_are_aligned_grow_in_place_and_are_given_back_at_the_end() {
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        // SAFETY: sizes are not zero, and what is freed was allocated with this layout.
        unsafe {
            let first = ARENA.alloc(layout(3, 1));
            let second = ARENA.alloc(layout(8, 64));
            assert_eq!(second as usize % 64, 0);
            second.write_bytes(7, 8);
            assert_eq!(ARENA.realloc(second, layout(8, 64), 100), second, "it was the last");
            let moved = ARENA.realloc(first, layout(3, 1), 50);
            assert_ne!(moved, first, "something came after it");
            ARENA.dealloc(moved, layout(50, 1));
            assert_eq!(ARENA.alloc(layout(50, 1)), moved, "it was given back");
            assert_eq!(second.add(7).read(), 7);
            let large = ARENA.alloc(layout(SIZE, 1));
            assert_eq!(ARENA.offset(large), None, "the system has more");
            let larger = ARENA.realloc(large, layout(SIZE, 1), SIZE + 1);
            ARENA.dealloc(larger, layout(SIZE + 1, 1));
        }
    }
}
