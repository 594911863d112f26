//! What is published holds: the description of the API, the Postman collection, the cases of the workflow.

mod description;
mod postman;
mod workflow_cases;
