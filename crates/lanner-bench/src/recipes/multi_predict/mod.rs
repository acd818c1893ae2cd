//! The recipe `multi-predict` (Akhauri & Abdelfattah, "Multi-Predict", AutoML-Conf 2023) in its three
//! uses: [`devices`] goes from known devices to a new one in their space, [`spaces`] takes a device's
//! latencies from one space to another, [`tasks`] takes accuracies from one task or space to another.

pub mod devices;
pub mod spaces;
pub mod tasks;
