//! `kindmesh network pools`: the pool arithmetic as a calculator. Needs no engine.

use std::net::Ipv4Addr;

use clap::{Args, Subcommand};
use ipnetwork::Ipv4Network;

use super::super::errors::CliError;
use super::super::exit::Exit;
use super::super::output::Printer;
use super::super::table::Table;
use crate::domain::fleet::DEFAULT_POOL_SIZE;
use crate::domain::net::pool::{PoolPlan, plan_pools};
use crate::domain::net::range::AddrRange;

const EXAMPLES: &str = "\
Examples:
  kindmesh network pools --subnet 172.18.0.0/16 --count 2
  kindmesh network pools --subnet 10.9.0.0/24 --count 3 --size 10 --reserved 10.9.0.250 --reserved 10.9.0.128/26 -o json";

/// Flags of `network`.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    #[command(subcommand)]
    command: NetworkCommand,
}

#[derive(Debug, Subcommand)]
enum NetworkCommand {
    /// Calculate which LoadBalancer addresses the clusters on a subnet get
    Pools(PoolsArgs),
}

/// Flags of `network pools`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct PoolsArgs {
    /// IPv4 subnet of the network
    #[arg(long, value_name = "CIDR")]
    subnet: Ipv4Network,
    /// Number of clusters
    #[arg(long, value_name = "N")]
    count: u32,
    /// Addresses for each cluster
    #[arg(long, value_name = "N", default_value_t = DEFAULT_POOL_SIZE)]
    size: u32,
    /// Gateway of the network [default: the first address of the subnet]
    #[arg(long, value_name = "IP")]
    gateway: Option<Ipv4Addr>,
    /// Addresses that no pool may touch; may be given several times
    #[arg(long, value_name = "IP|FIRST-LAST|CIDR")]
    reserved: Vec<AddrRange>,
}

/// Runs it.
///
/// # Errors
/// [`Exit::Config`] when the pools do not fit.
pub fn run(printer: &Printer, args: &NetworkArgs) -> Result<(), CliError> {
    match &args.command {
        NetworkCommand::Pools(args) => pools(printer, args),
    }
}

fn pools(printer: &Printer, args: &PoolsArgs) -> Result<(), CliError> {
    let plan = plan_pools(args.subnet, args.count, args.size, args.gateway, &args.reserved)
        .map_err(|error| CliError::from_error(Exit::Config, &error))?;
    printer.result(&plan, || text(&plan))
}

fn text(plan: &PoolPlan) -> String {
    let mut table = Table::new(["CLUSTER", "RANGE", "SIZE"]);
    for pool in &plan.pools {
        table.row([pool.cluster.clone(), pool.range.to_string(), pool.size.to_string()]);
    }
    table.to_string()
}
