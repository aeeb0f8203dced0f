//! Compiles the fast path with clang, where the feature `ebpf` asks for it, and writes its
//! instructions as a constant.
//!
//! It never does anything without that feature: an ordinary build needs no clang.

fn main() {
    println!("cargo::rerun-if-changed=src/fast_path.c");
    #[cfg(feature = "ebpf")]
    ebpf::build();
}

#[cfg(feature = "ebpf")]
mod ebpf {
    use std::{collections::HashSet, env, fmt::Write, fs, path::PathBuf, process::Command};

    use aya_obj::Object;

    /// Stands for the map until the program is loaded.
    const MAP: i32 = 0;

    pub(super) fn build() {
        let directory = PathBuf::from(env::var_os("OUT_DIR").expect("cargo tells a directory"));
        let object = directory.join("fast_path.o");
        let big = env::var("CARGO_CFG_TARGET_ENDIAN").is_ok_and(|endian| endian == "big");
        let status = Command::new("clang")
            .args(["-O2", "-Wall", "-Werror", "-mcpu=v2", "-target"])
            .args([if big { "bpfeb" } else { "bpfel" }, "-c", "src/fast_path.c", "-o"])
            .arg(&object)
            .status()
            .expect("the feature `ebpf` needs clang; hint: apt-get install clang");
        assert!(status.success(), "clang could not compile src/fast_path.c");
        let bytes = fs::read(&object).expect("clang has written it");
        let text = constants(&bytes);
        fs::write(directory.join("fast_path.rs"), text).expect("the directory can be written");
    }

    /// The program, eight bytes for each instruction.
    fn constants(bytes: &[u8]) -> String {
        let mut object = Object::parse(bytes).expect("an object of clang");
        let maps = object.maps.clone();
        let of_maps = maps.iter().map(|(name, map)| (name.as_str(), MAP, map));
        object.relocate_maps(of_maps, &HashSet::new()).expect("the map is known");
        let function = object.functions.values().next().expect("one program");
        let mut text = String::new();
        let count = function.instructions.len();
        let _ = writeln!(text, "const INSTRUCTIONS: [[u8; 8]; {count}] = [");
        for one in &function.instructions {
            let (code, registers) = (one.code, one._bitfield_1.get(0, 8));
            let registers = u8::try_from(registers).expect("eight bits");
            let (offset, immediate) = (one.off.to_ne_bytes(), one.imm.to_ne_bytes());
            let head = [code, registers, offset[0], offset[1]];
            let _ = writeln!(text, "    {:?},", [head, immediate].concat());
        }
        text.push_str("];\n");
        text
    }
}
