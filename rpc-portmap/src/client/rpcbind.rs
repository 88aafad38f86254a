//! Calls to a portmapper ([RFC 1833](https://www.rfc-editor.org/rfc/rfc1833)).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::error::{CallError, ConnectError};
use super::{Client, DEFAULT_TIMEOUT};
use crate::rpc::{Procedure, Program, Version};
use crate::rpcbind::stats::AllStats;
use crate::rpcbind::{
    ABSTRACT_SOCKET, Mapping, Netid, PORT, PROGRAM, Rpcb, SOCKET, UniversalAddress, v2, v3, v4,
};
use crate::xdr::{List, Xdr};

/// A connection to a portmapper.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc_portmap::client::Rpcbind;
/// use rpc_portmap::rpcbind::Netid;
///
/// let rpcbind = Rpcbind::local().await?;
/// for registration in rpcbind.dump().await? {
///     println!("{} {} {}", registration.program, registration.version, registration.address);
/// }
/// let nfs = rpcbind.address(100_003.into(), 3.into(), Netid::Tcp).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Rpcbind(Client);

impl Rpcbind {
    /// Takes a connection to a portmapper.
    pub const fn new(client: Client) -> Self {
        Self(client)
    }

    /// Connects to this machine's portmapper: by its unix sockets, over which the kernel reports
    /// the user who calls, or by TCP over the loopback interface.
    ///
    /// # Errors
    /// [`ConnectError`] of the unix socket if none of them accepts.
    pub async fn local() -> Result<Self, ConnectError> {
        if let Ok(client) = Client::unix(ABSTRACT_SOCKET).await {
            return Ok(Self(client));
        }
        let failed = match Client::unix(SOCKET).await {
            Ok(client) => return Ok(Self(client)),
            Err(failed) => failed,
        };
        for loopback in [
            SocketAddr::from((Ipv6Addr::LOCALHOST, PORT)),
            SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
        ] {
            if let Ok(client) = Client::tcp(loopback, DEFAULT_TIMEOUT).await {
                return Ok(Self(client));
            }
        }
        Err(failed)
    }

    /// Returns the connection.
    pub const fn client(&self) -> &Client {
        &self.0
    }

    /// Sets the deadline of each call.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self(self.0.with_timeout(timeout))
    }

    /// Registers a service; true if the portmapper accepts it.
    ///
    /// # Errors
    /// [`CallError`] if it does not answer.
    pub async fn set(&self, registration: &Rpcb) -> Result<bool, CallError> {
        self.call(v3::VERSION, v3::SET, registration).await
    }

    /// Removes a registration, or those of all transports if it names none; true if the portmapper
    /// accepts that.
    ///
    /// # Errors
    /// [`CallError`] if it does not answer.
    pub async fn unset(&self, registration: &Rpcb) -> Result<bool, CallError> {
        self.call(v3::VERSION, v3::UNSET, registration).await
    }

    /// Looks up the address of a version of a program, or of another version if that one is not
    /// registered: by version 4, then 3, then 2, as far as the portmapper lacks the later ones.
    ///
    /// Over IP, versions 3 and 4 answer for the transport of the call and ignore `netid` ([RFC 1833
    /// §2.2.1](https://www.rfc-editor.org/rfc/rfc1833#section-2.2.1)); version 2 does not.
    ///
    /// # Errors
    /// [`CallError`] if it does not answer.
    pub async fn address(
        &self,
        program: Program,
        version: Version,
        netid: Netid,
    ) -> Result<Option<UniversalAddress>, CallError> {
        let request = Rpcb {
            program,
            version,
            netid: crate::rpcbind::Name::truncated(netid.name()),
            ..Rpcb::default()
        };
        for asked in [v4::VERSION, v3::VERSION] {
            match self
                .call::<_, crate::rpcbind::Name>(asked, v3::GETADDR, &request)
                .await
            {
                Ok(text) => return Ok(UniversalAddress::parse(netid, &text).ok()),
                Err(failed) if failed.is_unsupported() => {}
                Err(failed) => return Err(failed),
            }
        }
        let Some(protocol) = netid.protocol_number() else {
            return Ok(None);
        };
        let port = self.port(program, version, protocol).await?;
        let any = Ipv4Addr::UNSPECIFIED.into();
        Ok(port.map(|port| UniversalAddress::Ip(any, port)))
    }

    /// Looks up the port of a version of a program by version 2; `protocol` is 6 for TCP and 17 for
    /// UDP.
    ///
    /// # Errors
    /// [`CallError`] if the portmapper does not answer.
    pub async fn port(
        &self,
        program: Program,
        version: Version,
        protocol: u32,
    ) -> Result<Option<u16>, CallError> {
        let request = Mapping {
            program,
            version,
            protocol,
            port: 0,
        };
        let port: u32 = self.call(v2::VERSION, v2::GETPORT, &request).await?;
        Ok(u16::try_from(port).ok().filter(|port| *port != 0))
    }

    /// Lists all registrations, by version 4 or 3.
    ///
    /// # Errors
    /// [`CallError`] if the portmapper does not answer, or supports version 2 only.
    pub async fn dump(&self) -> Result<Vec<Rpcb>, CallError> {
        match self.call::<_, List<Rpcb>>(v4::VERSION, v4::DUMP, &()).await {
            Err(failed) if failed.is_unsupported() => {
                let list: List<Rpcb> = self.call(v3::VERSION, v3::DUMP, &()).await?;
                Ok(list.0)
            }
            other => other.map(|list| list.0),
        }
    }

    /// Lists the registrations that version 2 can express: UDP and TCP over IPv4.
    ///
    /// # Errors
    /// [`CallError`] if the portmapper does not answer.
    pub async fn mappings(&self) -> Result<Vec<Mapping>, CallError> {
        let list: List<Mapping> = self.call(v2::VERSION, v2::DUMP, &()).await?;
        Ok(list.0)
    }

    /// Lists the addresses of a version of a program on all transports of the family of this
    /// connection.
    ///
    /// # Errors
    /// [`CallError`] if the portmapper does not answer.
    pub async fn addresses(
        &self,
        program: Program,
        version: Version,
    ) -> Result<Vec<v4::Entry>, CallError> {
        let request = Rpcb {
            program,
            version,
            ..Rpcb::default()
        };
        let list: List<v4::Entry> = self.call(v4::VERSION, v4::GETADDRLIST, &request).await?;
        Ok(list.0)
    }

    /// Reads the portmapper's clock, in seconds since 1970.
    ///
    /// # Errors
    /// [`CallError`] if it does not answer.
    pub async fn time(&self) -> Result<u32, CallError> {
        self.call(v3::VERSION, v3::GETTIME, &()).await
    }

    /// Reads the portmapper's counters.
    ///
    /// # Errors
    /// [`CallError`] if it does not answer.
    pub async fn stats(&self) -> Result<AllStats, CallError> {
        self.call(v4::VERSION, v4::GETSTAT, &()).await
    }

    async fn call<A: Xdr, R: Xdr>(
        &self,
        version: Version,
        procedure: Procedure,
        args: &A,
    ) -> Result<R, CallError> {
        self.0.call(PROGRAM, version, procedure, args).await
    }
}
