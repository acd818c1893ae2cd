//! The recipe `multi-predict` (Akhauri & Abdelfattah, "Multi-Predict", AutoML-Conf 2023) for what it
//! carries over: [`devices`], from known devices to a new one in their space; [`spaces`], a device's
//! latencies from one space to another; [`tasks`], accuracies from one task or space to another.

pub mod devices;
pub mod spaces;
pub mod tasks;
