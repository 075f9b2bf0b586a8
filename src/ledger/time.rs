//! A time as Postgres has it. To make one of a number in SQL costs a division of decimals for each, which a batch has thousands of.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

/// From the Unix epoch to Postgres' own, the beginning of 2000.
const EPOCH_US: i64 = 946_684_800_000_000;

/// Further away than any time that Postgres takes.
const FAR_US: u64 = 1 << 62;

/// Microseconds since the Unix epoch, bound as `timestamptz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    us: i64,
}

impl Time {
    /// So many ms since the Unix epoch. What is too far away is refused when it is bound.
    pub fn of_ms(ms: i64) -> Self {
        Self { us: ms.saturating_mul(1000) }
    }

    /// So many µs.
    pub fn of_us(us: i64) -> Self {
        Self { us }
    }
}

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Time {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // The greatest numbers would be the infinite times, which no entry may have.
        let since = self.us.checked_sub(EPOCH_US).filter(|it| it.unsigned_abs() < FAR_US);
        <i64 as Encode<Postgres>>::encode(since.ok_or("a time is out of range")?, buffer)
    }
}
