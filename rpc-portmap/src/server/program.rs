//! Programs as traits, and the macro that declares them.

use std::pin::Pin;

use super::caller::Caller;
use super::layer::Rejection;
use crate::rpc::{Procedure, Program, Version};

/// A future on the heap, as a trait object returns it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A version of a program that a server can carry. [`rpc_program!`](crate::rpc_program) writes
/// implementations.
pub trait ProgramVersion: Send + Sync + 'static {
    /// Returns the number of the program.
    fn program(&self) -> Program;

    /// Returns the number of the version.
    fn version(&self) -> Version;

    /// Carries a procedure out and appends its results. The server answers NULL without this
    /// method.
    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        procedure: Procedure,
        args: &'a [u8],
        results: &'a mut Vec<u8>,
    ) -> BoxFuture<'a, Result<(), Rejection>>;
}

/// Declares a version of a program: a trait with one async method for each procedure, an adapter
/// that makes an implementation part of a [`Server`](crate::server::Server), and a typed client.
///
/// A procedure takes one argument or none and returns one result or none; several make up an
/// [`xdr_struct!`](crate::xdr_struct). Program and version are `u32` literals or values of
/// [`Program`](crate::rpc::Program) and [`Version`](crate::rpc::Version). The line with `client`
/// can be left out.
#[macro_export]
macro_rules! rpc_program {
    (
        $(#[$meta:meta])*
        $vis:vis trait $trait:ident = ($program:expr, $version:expr);
        server $server:ident;
        client $client:ident;
        $($procedures:tt)*
    ) => {
        $crate::__rpc_service! {
            $(#[$meta])*
            $vis trait $trait = ($program, $version);
            server $server;
            $($procedures)*
        }
        $crate::__rpc_client! {
            $vis client $client of $trait = ($program, $version);
            $($procedures)*
        }
    };
    ($($service:tt)*) => {
        $crate::__rpc_service! { $($service)* }
    };
}

/// The server's side of a program: internal to the macros.
#[doc(hidden)]
#[macro_export]
macro_rules! __rpc_service {
    (
        $(#[$meta:meta])*
        $vis:vis trait $trait:ident = ($program:expr, $version:expr);
        server $server:ident;
        $(
            $(#[$proc_meta:meta])*
            $number:literal => fn $name:ident ( $($args:ty)? ) $(-> $result:ty)?;
        )*
    ) => {
        $(#[$meta])*
        $vis trait $trait: Send + Sync + 'static {
            $(
                $(#[$proc_meta])*
                fn $name(
                    &self,
                    caller: &$crate::server::Caller
                    $(, args: $args)?
                ) -> impl Future<
                    Output = Result<$crate::__rpc_or_unit!($($result)?), $crate::rpc::RpcError>,
                > + Send;
            )*
        }

        #[doc = concat!("Makes a [`", stringify!($trait), "`] part of a server.")]
        #[derive(Debug)]
        $vis struct $server<S>(std::sync::Arc<S>);

        impl<S> $server<S> {
            /// Wraps the implementation of the procedures.
            $vis fn new(service: std::sync::Arc<S>) -> Self {
                Self(service)
            }
        }

        impl<S: $trait> $crate::server::ProgramVersion for $server<S> {
            fn program(&self) -> $crate::rpc::Program {
                $crate::rpc::Program::from($program)
            }

            fn version(&self) -> $crate::rpc::Version {
                $crate::rpc::Version::from($version)
            }

            fn call<'a>(
                &'a self,
                caller: &'a $crate::server::Caller,
                procedure: $crate::rpc::Procedure,
                args: &'a [u8],
                results: &'a mut Vec<u8>,
            ) -> $crate::server::BoxFuture<'a, Result<(), $crate::server::Rejection>> {
                Box::pin(async move {
                    match procedure.get() {
                        $(
                            $number => {
                                $(
                                    let args: $args = $crate::xdr::from_bytes(args)
                                        .map_err(|_| $crate::rpc::RpcError::GarbageArgs)?;
                                )?
                                let result = self.0.$name(
                                    caller
                                    $(, $crate::__rpc_first!(args, $args))?
                                ).await?;
                                $crate::xdr::Xdr::encode(&result, results);
                                Ok(())
                            }
                        )*
                        _ => {
                            let _ = (caller, args, results);
                            Err($crate::rpc::RpcError::ProcUnavail.into())
                        }
                    }
                })
            }
        }
    };
}

/// The client's side of a program: internal to the macros.
#[doc(hidden)]
#[macro_export]
macro_rules! __rpc_client {
    (
        $vis:vis client $client:ident of $trait:ident = ($program:expr, $version:expr);
        $(
            $(#[$proc_meta:meta])*
            $number:literal => fn $name:ident ( $($args:ty)? ) $(-> $result:ty)?;
        )*
    ) => {
        #[doc = concat!("Calls [`", stringify!($trait), "`] on a server.")]
        #[derive(Clone, Debug)]
        $vis struct $client(pub $crate::client::Client);

        impl $client {
            $(
                $(#[$proc_meta])*
                ///
                /// # Errors
                /// `CallError` if no result comes back.
                $vis async fn $name(
                    &self
                    $(, args: $args)?
                ) -> Result<
                    $crate::__rpc_or_unit!($($result)?),
                    $crate::client::CallError,
                > {
                    self.0.call(
                        $crate::rpc::Program::from($program),
                        $crate::rpc::Version::from($version),
                        $crate::rpc::Procedure::new($number),
                        &$crate::__rpc_or_unit!($($crate::__rpc_first!(args, $args))?),
                    ).await
                }
            )*
        }
    };
}

/// Expands to the first of two: internal to the macros.
#[doc(hidden)]
#[macro_export]
macro_rules! __rpc_first {
    ($first:expr, $second:ty) => {
        $first
    };
}

/// Expands to its tokens, or to `()`: internal to the macros.
#[doc(hidden)]
#[macro_export]
macro_rules! __rpc_or_unit {
    () => {
        ()
    };
    ($($given:tt)+) => {
        $($given)+
    };
}
