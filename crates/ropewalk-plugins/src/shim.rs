//! Stand-in.
use ropewalk_addr::Family;
use ropewalk_linux::Linux;
pub(crate) trait Shim {
    fn nft_usable(&mut self) -> bool;
    fn forward_policy_is_drop(&mut self, f: Family) -> Result<bool, String>;
}
impl Shim for Linux {
    fn nft_usable(&mut self) -> bool {
        true
    }
    fn forward_policy_is_drop(&mut self, _: Family) -> Result<bool, String> {
        Ok(false)
    }
}
