//! Times in Postgres' binary format. Converting numbers in SQL costs one decimal division per value, thousands per batch.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Encode, Postgres, Type};

/// From the Unix epoch to Postgres' epoch, the start of 2000.
const EPOCH_US: i64 = 946_684_800_000_000;

/// Beyond every time that Postgres accepts.
const OUT_OF_RANGE_US: u64 = 1 << 62;

/// Microseconds since the Unix epoch, bound as `timestamptz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PgTime {
    us: i64,
}

impl PgTime {
    /// Milliseconds since the Unix epoch. Binding fails if it is out of Postgres' range.
    pub fn from_ms(ms: i64) -> Self {
        Self { us: ms.saturating_mul(1000) }
    }

    /// Microseconds since the Unix epoch.
    pub fn from_us(us: i64) -> Self {
        Self { us }
    }
}

impl Type<Postgres> for PgTime {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for PgTime {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for PgTime {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // The largest and smallest numbers stand for infinity, which no entry may have.
        let since = self.us.checked_sub(EPOCH_US).filter(|us| us.unsigned_abs() < OUT_OF_RANGE_US);
        <i64 as Encode<Postgres>>::encode(since.ok_or("a time is out of range")?, buffer)
    }
}
