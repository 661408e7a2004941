//! The same case over each transport.

/// Makes tests of `async fn NAME(by: By)`: `NAME::native` runs it over our own client,
/// `NAME::openssh` over the `ssh` program.
macro_rules! over_each_transport {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn native() {
                super::$name(crate::support::By::Native).await;
            }

            #[tokio::test]
            async fn openssh() {
                super::$name(crate::support::By::Openssh).await;
            }
        }
    )*};
}
pub(crate) use over_each_transport;
