//! Rates, such as images a second, are learnt as the latencies whose reciprocals they are.

use lanner_data::{Table, built_in};
use lanner_predict::latency::adapted::{AdaptedLatency, DeviceTable};
use lanner_predict::metrics::{coverage, spearman};
use lanner_predict::predictor::fitted::{FitSettings, Fitted, MethodFeatures};
use lanner_predict::predictor::ranking::{Ranked, Ranking};
use lanner_predict::predictor::{Predictor, Target, load};
use lanner_predict::{Forecast, Pool};
use lanner_space::Space;

/// Networks of the built-in table, measured latencies in milliseconds, and these as images a second.
fn measured() -> (Table, Vec<f64>, Vec<f64>) {
    let table = built_in::table(&Space::NasBench201).unwrap();
    let rows: Vec<usize> = (0..table.len()).step_by(97).collect();
    let archs = rows.iter().map(|&r| table.archs[r].clone()).collect();
    let columns = table.columns.iter().map(|c| rows.iter().map(|&r| c[r]).collect()).collect();
    let table = Table::new(Space::NasBench201, archs, table.names.clone(), columns).unwrap();
    let latencies = table.columns[0].clone();
    let rates = latencies.iter().map(|ms| 1000.0 / ms).collect();
    (table, latencies, rates)
}

/// A rate's forecast is the reciprocal of its latency's, with the bounds of the intervals exchanged.
fn mirrored(rate: &Forecast, latency: &Forecast) {
    let near = |rate: &[f64], ms: &[f64]| {
        assert_eq!(rate.len(), ms.len());
        for (rate, ms) in rate.iter().zip(ms) {
            // Another unit rounds otherwise, and hyper-parameters are found by steps.
            assert!((rate * ms / 1000.0 - 1.0).abs() < 1e-3, "{rate} a second, {ms} ms");
        }
    };
    near(&rate.mean, &latency.mean);
    near(&rate.low, &latency.high);
    near(&rate.high, &latency.low);
}

#[test]
fn a_fitted_rate_mirrors_its_latency() {
    let (table, latencies, rates) = measured();
    let pool = Pool::new(Space::NasBench201, table.archs.clone());
    let (known, asked): (Vec<usize>, Vec<usize>) = (0..pool.len()).partition(|r| r % 3 > 0);
    let fit = |method: &str, target, metric: &str, values: &[f64]| {
        let features = MethodFeatures::new(method, target, &pool).unwrap();
        let settings = FitSettings { method: method.into(), target, metric: metric.into() };
        let y: Vec<f64> = known.iter().map(|&r| values[r]).collect();
        Fitted::fit(&pool, &features, settings, (&known, &y), 0)
    };
    let archs: Vec<_> = asked.iter().map(|&r| pool.archs[r].clone()).collect();
    let truth: Vec<f64> = asked.iter().map(|&r| rates[r]).collect();
    assert_eq!(
        MethodFeatures::methods(&pool.space, Target::Rate),
        MethodFeatures::methods(&pool.space, Target::Latency)
    );
    for method in ["default", "ridge-counts", "operations"] {
        let latency = fit(method, Target::Latency, "a_ms", &latencies).unwrap().predict(&archs);
        let fitted = fit(method, Target::Rate, "images_per_s", &rates).unwrap();
        let rate = fitted.predict(&archs);
        mirrored(&rate, &latency);
        assert!(spearman(&rate.mean, &truth) > 0.9, "{method}");
        if method != "default" {
            continue;
        }
        let ms: Vec<f64> = asked.iter().map(|&r| latencies[r]).collect();
        let [of_rate, of_latency] = [(&rate, &truth), (&latency, &ms)]
            .map(|(forecast, truth)| coverage(&forecast.low, &forecast.high, truth));
        assert!((of_rate - of_latency).abs() < 0.02 && of_rate > 0.5, "{of_rate} {of_latency}");
        // The file keeps the direction, and most images a second come first.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rate.lanner");
        fitted.save(&path).unwrap();
        let back = load(&path).unwrap();
        assert_eq!((back.metric(), back.target()), ("images_per_s", Target::Rate));
        mirrored(&back.predict(&archs), &latency);
        let ranked = Ranked::List(archs.clone());
        let best = Ranking::new(&*back, &ranked, 3, false, &mut |_, _| ()).unwrap().best;
        let most = rate.mean.iter().copied().fold(0.0, f64::max);
        assert!((best[0].mean / most - 1.0).abs() < 1e-9 && best[0].mean >= best[1].mean);
    }
    for wrong in [0.0, -3.0, f64::INFINITY, 1e-320] {
        let mut rates = rates.clone();
        rates[known[4]] = wrong;
        let Err(error) = fit("default", Target::Rate, "images_per_s", &rates) else {
            panic!("{wrong} is no rate")
        };
        assert!(error.to_string().contains("training rate 4 is"), "{error}");
    }
}

#[test]
fn an_adapted_rate_mirrors_its_latency() {
    let (table, latencies, rates) = measured();
    let pool = || Pool::new(Space::NasBench201, table.archs.clone());
    let (names, columns) = (table.names[1..].to_vec(), table.columns[1..].to_vec());
    let own = |name: &str, values: &[f64]| {
        let few: Vec<usize> = (0..pool().len()).step_by(pool().len() / 12).collect();
        let archs = few.iter().map(|&r| table.archs[r].clone()).collect();
        let column = few.iter().map(|&r| values[r]).collect();
        Table::new(Space::NasBench201, archs, vec![name.into()], vec![column]).unwrap()
    };
    // Sources in another unit, one of them as a rate.
    let others =
        Table::new(Space::NasBench201, table.archs.clone(), names.clone(), columns.clone())
            .unwrap();
    let (mut turned, mut named) = (columns, names);
    turned[0].iter_mut().for_each(|v| *v = 1000.0 / *v);
    named[0] = "other_images_per_s".into();
    let as_rate = Table::new(Space::NasBench201, table.archs.clone(), named, turned).unwrap();

    let mine = own("mine_ms", &latencies);
    let target = DeviceTable::new("mine", &mine, Some("mine_ms")).unwrap();
    let sources = [DeviceTable::of_quantity("others", &others, "mine_ms").unwrap()];
    let latency = AdaptedLatency::from_tables(pool(), &target, &sources, None).unwrap();

    let mine = own("images_per_s", &rates);
    let target = DeviceTable::named("mine", &mine, "images_per_s").unwrap();
    let sources = [DeviceTable::of_quantity("others", &as_rate, "images_per_s").unwrap()];
    let rate = AdaptedLatency::from_tables(pool(), &target, &sources, None).unwrap();
    assert_eq!((rate.target(), rate.sources().len()), (Target::Rate, latency.sources().len()));
    mirrored(&rate.predict(&table.archs), &latency.predict(&table.archs));
    let (values, left_out) = rate.left_out();
    assert_eq!(values.len(), rate.measured().len());
    assert!(spearman(&left_out.unwrap().mean, &values) > 0.8);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rate.lanner");
    rate.save(&path).unwrap();
    let back = load(&path).unwrap();
    assert_eq!((back.target(), back.metric()), (Target::Rate, "images_per_s"));
    mirrored(&back.predict(&table.archs), &latency.predict(&table.archs));

    let zero = own("images_per_s", &vec![0.0; rates.len()]);
    let error = DeviceTable::named("mine", &zero, "images_per_s").unwrap_err().to_string();
    assert!(
        error.contains("column 'images_per_s'") && error.contains("not more than 0"),
        "{error}"
    );
}
