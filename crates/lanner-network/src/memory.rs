use crate::{Network, NetworkError};

/// Peak memory of activations when the layers run in a given order, in bytes: 32-bit floats, batch 1,
/// without weights.
///
/// While a layer runs, memory holds its inputs, its output and all outputs that later layers read; an
/// output is freed after its last reader. No layer works in place. `order` has every layer once, each
/// after those that it reads.
pub fn peak_memory(network: &Network, order: &[usize]) -> Result<u64, NetworkError> {
    let held = working_set(network, order)?;
    Ok(held.into_iter().max().unwrap_or(0))
}

/// Memory held while each step of the order runs, in bytes; [`peak_memory`] is the maximum.
pub fn working_set(network: &Network, order: &[usize]) -> Result<Vec<u64>, NetworkError> {
    let n = network.layers.len();
    let fail = |value: String, expected: &str| NetworkError::Value {
        name: "order of layers",
        value,
        expected: expected.into(),
    };
    if order.len() != n {
        return Err(fail(format!("{} long", order.len()), &format!("each of {n} layers once")));
    }
    let mut done = vec![false; n];
    for &i in order {
        match network.layers.get(i) {
            Some(layer) if !done[i] && layer.inputs.iter().all(|&j| done[j]) => done[i] = true,
            _ => return Err(fail(format!("wrong at layer {i}"), "each once, after its inputs")),
        }
    }
    Ok(held(network, order))
}

/// Peak memory in bytes when the layers run by their numbers, which is always a valid order.
pub(crate) fn own_order_peak(network: &Network) -> u64 {
    let order: Vec<usize> = (0..network.layers.len()).collect();
    held(network, &order).into_iter().max().unwrap_or(0)
}

fn held(network: &Network, order: &[usize]) -> Vec<u64> {
    let mut left = network.readers();
    // The caller reads the network's output.
    if let Some(last) = left.last_mut() {
        *last += 1;
    }
    // Sums of many large images could be more than 64 bits hold.
    let mut now = 0u128;
    let mut steps = Vec::with_capacity(order.len());
    for &i in order {
        let layer = &network.layers[i];
        now += u128::from(layer.shape.bytes());
        steps.push(u64::try_from(now).unwrap_or(u64::MAX));
        for &j in &layer.inputs {
            left[j] -= 1;
            if left[j] == 0 {
                now -= u128::from(network.layers[j].shape.bytes());
            }
        }
        if left[i] == 0 {
            now -= u128::from(layer.shape.bytes());
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Op, Shape};

    #[test]
    fn a_diamond_holds_both_branches() {
        let mut net = Builder::new("diamond", Shape::new(1, 1, 10)).unwrap();
        let a = net.add("a", Op::Relu, &[0]).unwrap();
        let b = net.add("b", Op::Sigmoid, &[0]).unwrap();
        let c = net.add("c", Op::Concat, &[a, b]).unwrap();
        net.add("d", Op::Relu, &[c]).unwrap();
        let net = net.finish();
        // 40 bytes a tensor: input; input a; input a b; a b and c of 80; c d.
        assert_eq!(working_set(&net, &[0, 1, 2, 3, 4]).unwrap(), [40, 80, 120, 160, 160]);
        assert_eq!(peak_memory(&net, &[0, 2, 1, 3, 4]).unwrap(), 160);
        assert!(peak_memory(&net, &[0, 1, 3, 2, 4]).is_err());
        assert!(peak_memory(&net, &[0, 1, 2, 3]).is_err());
        assert!(peak_memory(&net, &[0, 1, 1, 3, 9]).is_err());
    }
}
