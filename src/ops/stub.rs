use super::*;
use crate::domain::fleet::Fleet;
use crate::domain::name::FleetName;
#[allow(missing_docs, reason = "stub")]
impl Kindmesh {
    pub async fn up(&self, _: &Fleet) -> Result<UpReport> {
        unreachable!()
    }
    pub async fn down(&self, _: &FleetName) -> Result<DownReport> {
        unreachable!()
    }
    pub async fn down_all(&self) -> Result<DownReport> {
        unreachable!()
    }
    pub async fn delete_cluster(&self, _: &str) -> Result<DownReport> {
        unreachable!()
    }
    pub async fn status(&self, _: Option<&FleetName>) -> Result<Vec<FleetStatus>> {
        unreachable!()
    }
    pub async fn clusters(&self) -> Result<Vec<ClusterEntry>> {
        unreachable!()
    }
    pub async fn nodes(&self, _: Option<&str>) -> Result<Vec<NodeEntry>> {
        unreachable!()
    }
    pub async fn kubeconfig(&self, _: &str, _: bool) -> Result<String> {
        unreachable!()
    }
}
