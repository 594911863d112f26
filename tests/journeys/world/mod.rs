//! The fixtures of the journeys. No test is in here.
//!
//! There is one of each. [`shop`] opens a shop, [`people`] signs people in, [`gestures`] holds their gestures, and
//! [`requests`] sends requests. [`tables`] reads rows, and [`books`] audits them. [`waiting`] lets time pass until the
//! sweeper acts. [`faults`] makes AWS calls fail, [`cuts`] cuts them off, and [`storm`] fails them
//! at random.

pub(crate) mod books;
pub(crate) mod cuts;
pub(crate) mod faults;
pub(crate) mod gestures;

pub(crate) mod lambda_runtime_api;
pub(crate) mod logs;
pub(crate) mod openapi;
pub(crate) mod orderflow;
pub(crate) mod people;
pub(crate) mod postman;
pub(crate) mod programs;
pub(crate) mod refusals;
pub(crate) mod requests;
pub(crate) mod seeds;
pub(crate) mod shop;
pub(crate) mod storm;
pub(crate) mod tables;

pub(crate) mod waiting;
pub(crate) mod watched;

pub(crate) use books::{Books, Mailed};
pub(crate) use cuts::Cut;

pub(crate) use logs::{Lines, listen};
pub(crate) use people::Customer;
pub(crate) use requests::Reply;
pub(crate) use seeds::{each_of, seeds};
pub(crate) use shop::{Shop, TEMPLATE};
pub(crate) use storm::Storm;
pub(crate) use watched::Watched;
