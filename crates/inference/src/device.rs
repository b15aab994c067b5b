//! Where a model computes.

use crate::InferenceError;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The device that the user asked for, written `auto`, `cpu`, `cuda`, `cuda:N` or `metal`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first graphics card that this build can drive and that is there, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The CUDA card with this number, counted from 0.
    Cuda(usize),
    /// Apple's graphics processor.
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = InferenceError;

    fn from_str(text: &str) -> Result<Self, InferenceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "metal" => Ok(Self::Metal),
            _ => text.strip_prefix("cuda:").and_then(|number| number.parse().ok()).map(Self::Cuda).ok_or_else(|| {
                InferenceError::BadRequest(format!(
                    "device `{text}` is unknown; choose auto, cpu, cuda, cuda:N (N counts cards from 0) or metal"
                ))
            }),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = InferenceError;

    fn try_from(text: String) -> Result<Self, InferenceError> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

/// Opens a device, or says what to do when this build or this machine lacks it.
pub fn open_device(choice: DeviceChoice) -> Result<Device, InferenceError> {
    let open = |device: candle_core::Result<Device>| {
        device.map_err(|error| {
            InferenceError::BadRequest(format!(
                "device {choice} does not open: {error}; check the driver, or choose device cpu"
            ))
        })
    };
    let lacking = |feature: &str| {
        InferenceError::BadRequest(format!(
            "this build cannot drive device {choice}: build with `--features {feature}`, or choose device cpu"
        ))
    };
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(number) if cfg!(feature = "cuda") => open(Device::new_cuda(number)),
        DeviceChoice::Cuda(_) => Err(lacking("cuda")),
        DeviceChoice::Metal if cfg!(feature = "metal") => open(Device::new_metal(0)),
        DeviceChoice::Metal => Err(lacking("metal")),
        DeviceChoice::Auto => {
            let card = [
                cfg!(feature = "cuda").then(|| Device::new_cuda(0)),
                cfg!(feature = "metal").then(|| Device::new_metal(0)),
            ];
            Ok(card.into_iter().flatten().find_map(Result::ok).unwrap_or(Device::Cpu))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3", "metal"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for text in ["gpu", "cuda:", "cuda:x", "CPU", ""] {
            let message = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(message.contains("choose auto, cpu"), "{message}");
        }
    }

    #[test]
    fn the_processor_always_opens() {
        assert!(open_device(DeviceChoice::Cpu).unwrap().is_cpu());
        assert!(open_device(DeviceChoice::Auto).is_ok());
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_card_that_the_build_lacks_is_refused_with_the_way_out() {
        let message = open_device(DeviceChoice::Cuda(0)).unwrap_err().to_string();
        assert!(message.contains("--features cuda") && message.contains("device cpu"), "{message}");
    }
}
