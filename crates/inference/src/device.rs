//! Where a model computes.

use crate::InferenceError;
use candle_core::{Device, Result as TensorResult, Shape, Tensor};
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

/// Sends numbers to a device; to a CUDA card from memory that the driver has pinned, which is kept for the next ones.
pub(crate) struct Upload {
    device: Device,
    #[cfg(feature = "cuda")]
    pinned: std::sync::Mutex<Option<pinned::Pinned>>,
}

impl Upload {
    pub fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
            #[cfg(feature = "cuda")]
            pinned: std::sync::Mutex::default(),
        }
    }

    /// An error where there are not as many numbers as the shape holds, or the device has no room.
    pub fn send(&self, numbers: Vec<f32>, shape: impl Into<Shape>) -> TensorResult<Tensor> {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(card) = &self.device {
            let mut kept = self.pinned.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            return pinned::send(&numbers, shape.into(), card, &mut kept);
        }
        Tensor::from_vec(numbers, shape, &self.device)
    }
}

#[cfg(feature = "cuda")]
mod pinned {
    #![allow(unsafe_code)] // memory as the driver hands it out

    use candle_core::cuda_backend::cudarc::driver::PinnedHostSlice;
    use candle_core::op::BackpropOp;
    use candle_core::{CudaDevice, CudaStorage, Error, Result, Shape, Storage, Tensor};

    pub type Pinned = PinnedHostSlice<f32>;

    /// Through the memory that is kept, where it has the right size. Writing waits until what was sent from it before has
    /// arrived.
    pub fn send(numbers: &[f32], shape: Shape, card: &CudaDevice, kept: &mut Option<Pinned>) -> Result<Tensor> {
        if shape.elem_count() != numbers.len() {
            return Err(Error::ShapeMismatch { buffer_size: numbers.len(), shape });
        }
        let mut host = match kept.take().filter(|kept| kept.len() == numbers.len()) {
            Some(host) => host,
            // SAFETY: f32 has no invalid bits, and all of it is written below, before anything reads it.
            None => unsafe { card.cuda_stream().context().alloc_pinned(numbers.len()) }.map_err(Error::wrap)?,
        };
        host.as_mut_slice().map_err(Error::wrap)?.copy_from_slice(numbers);
        let storage = CudaStorage::wrap_cuda_slice(card.clone_htod(&host)?, card.clone());
        *kept = Some(host);
        Ok(Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_arrive_as_they_were_sent() {
        // On a card too, where a build for one finds one.
        let device = open_device(DeviceChoice::Auto).unwrap();
        let upload = Upload::new(&device);
        for numbers in [vec![1.0, -2.5, f32::MAX], vec![4.0, 5.0, 6.0], vec![7.0]] {
            let sent = upload.send(numbers.clone(), numbers.len()).unwrap();
            assert_eq!(sent.to_vec1::<f32>().unwrap(), numbers);
        }
        assert!(upload.send(vec![1.0], 2).is_err());
    }

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
