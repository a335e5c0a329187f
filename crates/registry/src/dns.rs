//! Names to addresses without the C library, whose resolver loads modules at run time and so has no place in a
//! static binary.
//!
//! `/etc/hosts` and `/etc/resolv.conf` are read again when they change: a daemon outlives the network it was
//! started in.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A resolver that follows the host's configuration. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Resolver {
    current: Arc<Mutex<Option<Loaded>>>,
}

struct Loaded {
    stamps: [Option<SystemTime>; 2],
    resolver: Arc<TokioResolver>,
}

impl Resolver {
    /// All addresses of `host`; those of a literal are itself.
    ///
    /// # Errors
    /// In the words of Go's resolver: `lookup HOST: no such host`.
    pub(crate) async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(literal) = host.parse() {
            return Ok(vec![literal]);
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let resolver = self.loaded().map_err(|error| lookup_failed(host, &error.to_string()))?;
        match resolver.lookup_ip(host).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                Err(lookup_failed(host, "no such host"))
            }
            Err(error) => Err(lookup_failed(host, &error.to_string())),
        }
    }

    fn loaded(&self) -> io::Result<Arc<TokioResolver>> {
        let stamp = |path| fs::metadata(path).and_then(|found| found.modified()).ok();
        let stamps = ["/etc/resolv.conf", "/etc/hosts"].map(stamp);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = current.as_ref().filter(|loaded| loaded.stamps == stamps) {
            return Ok(Arc::clone(&loaded.resolver));
        }
        let resolver = Arc::new(load()?);
        *current = Some(Loaded { stamps, resolver: Arc::clone(&resolver) });
        Ok(resolver)
    }
}

fn load() -> io::Result<TokioResolver> {
    // Without resolv.conf the server is this machine's, resolv.conf(5).
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
        let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        let config = ResolverConfig::from_name_servers(vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    });
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build().map_err(io::Error::other)
}

fn lookup_failed(host: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("lookup {host}: {why}"))
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await?;
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
