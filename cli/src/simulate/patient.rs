//! The one patient of every site: plainly fictional, so that a privacy test finds each trace of it.
//!
//! Every word begins with `CANARY`. These go into HL7 PID, PV1 and result values, DICOM data sets,
//! and HTTP paths and bodies: all the places that a sensor must not report.

/// PID-5 and (0010,0010).
pub(super) const NAME: &str = "CANARY^PATIENT";
/// PID-3 and (0010,0020).
pub(super) const NUMBER: &str = "CANARY-MRN-0001";
/// PID-11.
pub(super) const ADDRESS: &str = "1 CANARY STREET^^CANARYTOWN";
/// PV1-3.
pub(super) const LOCATION: &str = "CANARY-WARD^CANARY-ROOM^CANARY-BED";
/// PV1-7.
pub(super) const DOCTOR: &str = "CANARY^DOCTOR";
/// A free text of a result.
pub(super) const REMARK: &str = "CANARY-REMARK";
