//! The same case over each transport.

/// Makes tests of `async fn NAME(by: By)`: `NAME::native` runs it over our own client.
macro_rules! over_each_transport {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn native() {
                super::$name(crate::support::By::Native).await;
            }
        }
    )*};
}
pub(crate) use over_each_transport;
