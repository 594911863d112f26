//! The published documents hold: the description of the API, the Postman collection, and the cases of the workflow.

mod description;
mod postman;
mod webhooks;
mod workflow_cases;
