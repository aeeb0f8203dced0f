//! Copying few bytes fast. On x86-64 musl copies with `rep movs`, which takes longer to begin than
//! most of a plugin's copies are long: 20 ns for each of some thousand names and small structures.
//! Its two functions lie in one another's files, so that both are here.

use core::arch::asm;

/// From here on the processor's own way is as fast; in bytes.
const LONG: usize = 256;

/// What is copied at once.
const PIECE: usize = size_of::<u128>();

/// `memcpy` of the C library, for the whole program.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: the caller has so many bytes at both places, and they do not overlap.
    unsafe { ascending(to, from, length) };
    to
}

/// `memmove` of the C library, for the whole program.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: the caller has so many bytes at both places, and what is overwritten has been read.
    unsafe {
        if to.addr().wrapping_sub(from.addr()) >= length {
            ascending(to, from, length);
        } else {
            descending(to, from, length);
        }
    }
    to
}

/// Copies from the beginning on: to a place before, or one that does not overlap.
unsafe fn ascending(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: each piece lies within the length, and is read before anything is written over it.
    unsafe {
        match length {
            ..=PIECE => few(to, from, length),
            LONG.. => asm!(
                "rep movsb",
                inout("rcx") length => _,
                inout("rdi") to => _,
                inout("rsi") from => _,
                options(nostack, preserves_flags)
            ),
            _ => {
                let last = read::<u128>(from, length - PIECE);
                let mut start = 0;
                while start + PIECE < length {
                    write(to, start, read::<u128>(from, start));
                    start += PIECE;
                }
                write(to, length - PIECE, last);
            }
        }
    }
}

/// Copies from the end on: to a place behind.
unsafe fn descending(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: as above.
    unsafe {
        if length <= PIECE {
            return few(to, from, length);
        }
        let first = read::<u128>(from, 0);
        let mut end = length;
        while end > PIECE {
            end -= PIECE;
            write(to, end, read::<u128>(from, end));
        }
        write(to, 0, first);
    }
}

/// Copies at most one piece, to wherever.
unsafe fn few(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: all is read before anything is written.
    unsafe {
        match length {
            0 => {}
            1..4 => {
                let middle = read::<u8>(from, length / 2);
                halves::<u8>(to, from, length);
                write(to, length / 2, middle);
            }
            4..8 => halves::<u32>(to, from, length),
            _ => halves::<u64>(to, from, length),
        }
    }
}

/// Copies what begins and ends with a value, which may overlap.
unsafe fn halves<T>(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller has at least one value.
    unsafe {
        let (first, last) = (read::<T>(from, 0), read::<T>(from, length - size_of::<T>()));
        write(to, 0, first);
        write(to, length - size_of::<T>(), last);
    }
}

unsafe fn read<T>(from: *const u8, start: usize) -> T {
    // SAFETY: the caller has a whole value there, aligned or not.
    unsafe { from.add(start).cast::<T>().read_unaligned() }
}

unsafe fn write<T>(to: *mut u8, start: usize, value: T) {
    // SAFETY: the caller has room for a whole value there, aligned or not.
    unsafe { to.add(start).cast::<T>().write_unaligned(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_to_every_place() {
        let original: Vec<u8> = (0..=250).cycle().take(1200).collect();
        for length in 0..400 {
            for (from, to) in
                [(0, 700), (300, 300), (300, 301), (300, 309), (300, 333), (300, 299), (333, 300)]
            {
                let (mut moved, mut wanted) = (original.clone(), original.clone());
                wanted.copy_within(from..from + length, to);
                let start = moved.as_mut_ptr();
                // SAFETY: both places lie within the vector.
                unsafe { memmove(start.add(to), start.add(from), length) };
                assert_eq!(moved, wanted, "{length} bytes from {from} to {to}");
            }
            let mut copied = vec![0; length];
            // SAFETY: both have so many bytes.
            unsafe { memcpy(copied.as_mut_ptr(), original.as_ptr(), length) };
            assert_eq!(copied, original[..length]);
        }
    }
}
