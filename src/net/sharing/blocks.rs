//! Blocks of memory that tenants take one after another.

use super::tenants::Tenant;

/// Memory, and who has it in turn.
#[derive(Debug)]
pub(super) struct Block<'a> {
    /// Values.
    pub count: usize,
    pub tenants: Vec<&'a Tenant>,
}

/// Gives every free tenant a block, the largest first: so no block grows. Of the blocks that are free when a tenant needs one it takes
/// the smallest.
pub(super) fn blocks(tenants: &[Tenant]) -> Vec<Block<'_>> {
    let mut order: Vec<&Tenant> = tenants.iter().filter(|tenant| tenant.is_free).collect();
    order.sort_by_key(|tenant| std::cmp::Reverse(tenant.count));
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for tenant in order {
        let is_free = |block: &&mut Block<'_>| block.tenants.iter().all(|other| !other.meets(tenant));
        match blocks.iter_mut().rev().find(is_free) {
            Some(block) => block.tenants.push(tenant),
            None => blocks.push(Block { count: tenant.count, tenants: vec![tenant] }),
        }
    }
    blocks
}
