//! Accuracies adapted to a task from tables of other tasks and spaces.

use lanner_data::Table;
use lanner_predict::accuracy::adapted::*;
use lanner_predict::encode::cells::log_flops;
use lanner_predict::metrics::{coverage, spearman};
use lanner_predict::predictor::{Predictor, load};
use lanner_predict::{Pool, PredictError};
use lanner_space::Space;

/// Networks, their proxies, their accuracies.
type Task = (Pool, Vec<(String, Vec<f64>)>, Vec<f64>);

/// One in `every` networks of a space, their worth at some task, and two proxies of it: one with a bend, one
/// that says nothing.
fn task(space: Space, every: usize, conv: f64) -> Task {
    let archs = space.iter().step_by(every).collect();
    let pool = Pool::new(space, archs);
    let flops = log_flops(&pool.space, &pool.archs);
    let noise = |i: usize| ((i * 7919) % 101) as f64 / 101.0;
    let values = (0..pool.len()).map(|i| conv * flops[i] + 0.3 * noise(i)).collect();
    let synflow = flops.iter().map(|f| (2.0 * f).exp()).collect();
    let plain = (0..pool.len()).map(|i| noise(i + 50)).collect();
    let columns = vec![("synflow".into(), synflow), ("plain".into(), plain)];
    (pool, columns, values)
}

fn micro() -> Task {
    task(Space::by_name("transbench101-micro").unwrap(), 10, 1.0)
}

fn near(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
}

fn all(n: usize) -> Vec<usize> {
    (0..n).collect()
}

#[test]
fn another_space_helps_and_a_constant_one_is_refused() {
    let (pool, columns, values) = micro();
    let target = TaskFeatures::new(&pool, &columns).unwrap();
    let (other, columns, worth) = task(Space::NasBench201, 60, 2.0);
    let other = TaskFeatures::new(&other, &columns).unwrap();
    let rows = all(other.len());
    let few: Vec<usize> = (0..pool.len()).step_by(60).collect();
    let y: Vec<f64> = few.iter().map(|&r| values[r]).collect();
    for inputs in [Inputs::Proxies, Inputs::Graph, Inputs::Both] {
        let source = Source::new(&other, &rows, &worth, &target, inputs).unwrap();
        assert_eq!(source.relation, SourceRelation::OtherCells);
        let rank = |sources: &[Source]| {
            let prior = target.prior(sources, inputs);
            let fit = AdaptedAccuracy::fit(&prior, &few, &y).unwrap();
            spearman(&fit.scores(&prior, &all(pool.len())), &values)
        };
        let (with, without) = (rank(&[source]), rank(&[]));
        assert!(with > without && with > 0.75, "{inputs:?}: {with} {without}");
    }
    let same = vec![0.5; rows.len()];
    let error = Source::new(&other, &rows, &same, &target, Inputs::Both).unwrap_err().to_string();
    assert!(error.contains("all 261 accuracies of the source are 0.5"), "{error}");
    let error = Source::new(&other, &rows[..9], &worth[..9], &target, Inputs::Both).unwrap_err();
    assert!(error.to_string().contains("source needs at least 20"), "{error}");
}

#[test]
fn networks_of_one_space_keep_their_rank_in_the_source() {
    let (pool, columns, values) = micro();
    let target = TaskFeatures::new(&pool, &columns).unwrap();
    // The source knows every second network, and has no proxies.
    let trained: Vec<usize> = (0..pool.len()).step_by(2).collect();
    let some =
        Pool::new(pool.space.clone(), trained.iter().map(|&r| pool.archs[r].clone()).collect());
    let source = TaskFeatures::new(&some, &[]).unwrap();
    let y: Vec<f64> = trained.iter().map(|&r| values[r]).collect();
    let told = Source::new(&source, &all(some.len()), &y, &target, Inputs::Both).unwrap();
    assert_eq!(told.relation, SourceRelation::SameSpace);
    let of = |rows: &[usize], v: &[f64]| -> Vec<f64> { rows.iter().map(|&r| v[r]).collect() };
    assert!(spearman(&of(&trained, &told.scores), &y) > 1.0 - 1e-9);
    let rest: Vec<usize> = (1..pool.len()).step_by(2).collect();
    assert!(spearman(&of(&rest, &told.scores), &of(&rest, &values)) > 0.7);
}

#[test]
fn failed_proxies_count_as_the_median() {
    let (pool, mut columns, _) = micro();
    columns[0].1[3] = -1e8;
    columns[0].1[4] = f64::NAN;
    columns.push(("jacov".into(), vec![-1e8; pool.len()]));
    columns.push(("snip".into(), vec![1.0; pool.len()]));
    columns.push(("accuracy".into(), (0..pool.len()).map(|i| i as f64).collect()));
    let views = TaskFeatures::new(&pool, &columns).unwrap();
    assert_eq!(views.proxies(), ["synflow", "plain"]);
    assert_eq!((views.proxy_scores()[(3, 0)], views.proxy_scores()[(4, 0)]), (0.0, 0.0));
    assert!(views.proxy_scores().data.iter().all(|v| v.is_finite()));
    columns[1].1.pop();
    let error = TaskFeatures::new(&pool, &columns).unwrap_err().to_string();
    assert!(error.contains("410 architectures, but 409 targets"), "{error}");
}

#[test]
fn samples_that_tell_nothing_are_refused() {
    let (pool, columns, values) = micro();
    let prior = TaskFeatures::new(&pool, &columns).unwrap().prior(&[], Inputs::Both);
    let says = |rows: &[usize], y: &[f64], what: &str| {
        let error = AdaptedAccuracy::fit(&prior, rows, y).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    says(&[0, 1], &values[..2], "at least 5");
    says(&all(6), &values[..5], "6 architectures, but 5 targets");
    says(&all(6), &[7.5; 6], "all 6 accuracies are 7.5");
    says(&all(6), &[1.0, 2.0, f64::NAN, 3.0, 4.0, 5.0], "target 2 is NaN");
}

#[test]
fn intervals_hold_most_and_values_have_the_samples_unit() {
    let (pool, columns, values) = micro();
    let prior = TaskFeatures::new(&pool, &columns).unwrap().prior(&[], Inputs::Both);
    let few: Vec<usize> = (0..pool.len()).step_by(14).collect();
    let y: Vec<f64> = few.iter().map(|&r| values[r]).collect();
    let rows = all(pool.len());
    let forecast = AdaptedAccuracy::fit(&prior, &few, &y).unwrap().predict(&prior, &rows);
    let inside = coverage(&forecast.low, &forecast.high, &values);
    assert!((0.75..=1.0).contains(&inside), "{inside}");
    // The same ranking, whatever the unit.
    let scaled: Vec<f64> = y.iter().map(|v| 40.0 + 10.0 * v).collect();
    let other = AdaptedAccuracy::fit(&prior, &few, &scaled).unwrap();
    assert!(spearman(&other.scores(&prior, &rows), &forecast.mean) > 0.999);
    let back: Vec<f64> =
        other.predict(&prior, &rows).mean.iter().map(|v| (v - 40.0) / 10.0).collect();
    assert!(back.iter().zip(&forecast.mean).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn others_are_predicted_as_if_they_were_of_the_pool() {
    let (pool, columns, values) = micro();
    let target = TaskFeatures::new(&pool, &columns).unwrap();
    let (cells, proxies, worth) = task(Space::NasBench201, 60, 2.0);
    let cells = TaskFeatures::new(&cells, &proxies).unwrap();
    let half: Vec<usize> = (0..pool.len()).step_by(2).collect();
    let trained: Vec<f64> = half.iter().map(|&r| values[r]).collect();
    let sources = [
        Source::new(&target, &half, &trained, &target, Inputs::Both).unwrap(),
        Source::new(&cells, &all(cells.len()), &worth, &target, Inputs::Both).unwrap(),
    ];
    let prior = target.prior(&sources, Inputs::Both);
    let few: Vec<usize> = (3..pool.len()).step_by(20).collect();
    let y: Vec<f64> = few.iter().map(|&r| values[r]).collect();
    let model = AdaptedAccuracy::fit(&prior, &few, &y).unwrap();
    let asked = all(pool.len());
    let others = model.predict_others(&prior, &target.of(&pool.archs, &columns));
    let own = model.predict(&prior, &asked);
    assert!(near(&others.mean, &own.mean) && near(&others.low, &own.low));
    // Without proxies they say less, and a network is predicted whatever the others are.
    let apart = |archs| model.predict_others(&prior, &target.of(archs, &[])).mean;
    let whole = apart(&pool.archs);
    assert!(!near(&whole, &own.mean) && whole.iter().all(|v| v.is_finite()));
    assert!(near(&[apart(&pool.archs[..9]), apart(&pool.archs[9..])].concat(), &whole));
}

fn table((pool, columns, values): &Task) -> Table {
    let (names, columns): (Vec<String>, Vec<Vec<f64>>) = columns.iter().cloned().unzip();
    let names = [vec!["worth".into()], names].concat();
    let columns = [vec![values.clone()], columns].concat();
    Table::new(pool.space.clone(), pool.archs.clone(), names, columns).unwrap()
}

#[test]
fn tables_make_a_predictor_that_comes_back_from_its_file() {
    let own = micro();
    let mut target = table(&own);
    let few: Vec<usize> = (0..target.len()).step_by(20).collect();
    for i in 0..target.len() {
        if !few.contains(&i) {
            target.columns[0][i] = f64::NAN;
        }
    }
    let other = table(&task(Space::NasBench201, 60, 2.0));
    let tables = |column: &str| {
        let source = TaskTable::new("cells.csv", &other, column)?;
        Ok::<_, PredictError>((TaskTable::new("mine.csv", &target, "worth")?, vec![source]))
    };
    let (mine, sources) = tables("worth").unwrap();
    let fitted = TaskPredictor::fit(mine, sources, vec![]).unwrap();

    // The same as by hand.
    let (pool, columns, values) = &own;
    let features = TaskFeatures::new(pool, columns).unwrap();
    let (cells, proxies, worth) = task(Space::NasBench201, 60, 2.0);
    let cells = TaskFeatures::new(&cells, &proxies).unwrap();
    let source = Source::new(&cells, &all(cells.len()), &worth, &features, Inputs::Both).unwrap();
    let prior = features.prior(&[source], Inputs::Both);
    let y: Vec<f64> = few.iter().map(|&r| values[r]).collect();
    let by_hand = AdaptedAccuracy::fit(&prior, &few, &y).unwrap();
    let said = fitted.predict(&pool.archs);
    assert_eq!(said.mean, by_hand.predict(&prior, &all(pool.len())).mean);
    assert_eq!((fitted.with_proxies(), fitted.measured().len()), (pool.len(), few.len()));
    let (truth, left_out) = fitted.left_out();
    assert!(truth == y && spearman(&left_out.unwrap().mean, truth) > 0.6);

    // Networks without proxies too.
    let others: Vec<_> = pool.space.iter().skip(5).step_by(10).take(80).collect();
    let flops = log_flops(&pool.space, &others);
    let mixed = [&pool.archs[..5], &others[..]].concat();
    let forecast = fitted.predict(&mixed);
    assert!(near(&forecast.mean[..5], &said.mean[..5]));
    assert!(spearman(&forecast.mean[5..], &flops) > 0.6);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.lanner");
    fitted.save(&path).unwrap();
    let again = load(&path).unwrap();
    assert_eq!(again.predict(&mixed).low, forecast.low);
    assert_eq!((again.metric(), again.space()), ("worth", &pool.space));
    assert_eq!(again.describe(), fitted.describe());

    let error = tables("wroth").unwrap_err().to_string();
    assert!(error.contains("cells.csv: no column 'wroth'; there are: worth"), "{error}");
    let (mine, _) = tables("worth").unwrap();
    let short = TaskTable::new("short.csv", &other.select(&all(9)).unwrap(), "worth").unwrap();
    let error = TaskPredictor::fit(mine.clone(), vec![short], vec![]).err().unwrap().to_string();
    assert!(
        error.contains("short.csv, column 'worth'") && error.contains("at least 20"),
        "{error}"
    );
    let three = TaskTable::new("three.csv", &target.select(&all(50)).unwrap(), "worth").unwrap();
    let error = TaskPredictor::fit(three, vec![], vec![]).err().unwrap().to_string();
    assert!(error.contains("three.csv, column 'worth'") && error.contains("at least 5"), "{error}");
}

/// Five trainings and a score of half of the networks, which says nearly all, or the opposite.
#[test]
fn an_untrained_score_is_believed_as_far_as_the_trained_networks_bear_it_out() {
    let (pool, _, values) = micro();
    let names = || vec!["worth".into()];
    let target = |few: &[usize]| {
        let mut worth = vec![f64::NAN; pool.len()];
        few.iter().for_each(|&i| worth[i] = values[i]);
        let table = Table::new(pool.space.clone(), pool.archs.clone(), names(), vec![worth]);
        TaskTable::new("mine.csv", &table.unwrap(), "worth").unwrap()
    };
    let score = |sign: f64| -> Vec<_> {
        let half = pool.archs.iter().zip(&values).step_by(2);
        half.map(|(a, v)| (a.clone(), sign * (v / 4.0).exp())).collect()
    };
    let rank = |few: &[usize], prior: Vec<_>| {
        let fitted = TaskPredictor::fit(target(few), vec![], prior).unwrap();
        (spearman(&fitted.predict(&pool.archs).mean, &values), fitted)
    };
    let (six, fifty): (Vec<_>, Vec<_>) =
        ((5..pool.len()).step_by(75).collect(), (3..pool.len()).step_by(8).collect());
    let (alone, helped) = (rank(&six, vec![]).0, rank(&six, score(1.0)));
    assert!(helped.0 > 0.75 && helped.0 > alone + 0.15, "{} {alone}", helped.0);
    let (alone, misled) = (rank(&fifty, vec![]).0, rank(&fifty, score(-1.0)).0);
    assert!(misled > 0.8 && misled > alone - 0.05, "{misled} {alone}");

    // Networks that nobody scored are among the asked ones; the file holds the scores.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prior.lanner");
    helped.1.save(&path).unwrap();
    let again = load(&path).unwrap();
    assert_eq!(again.predict(&pool.archs[..9]).low, helped.1.predict(&pool.archs[..9]).low);
    assert!(again.describe().contains("untrained scores: 205"), "{}", again.describe());
    let says = |prior: Vec<_>, what: &str| {
        let error = TaskPredictor::fit(target(&six), vec![], prior).err().unwrap().to_string();
        assert!(error.contains("the prior") && error.contains(what), "{error}");
    };
    says(score(1.0)[..3].to_vec(), "at least 5");
    says(score(0.0), "all 205 untrained scores are 0");
}

/// Networks that neither table nor reference has.
#[test]
fn a_space_too_large_to_list_is_predicted_from_another() {
    let other = TaskTable::new("cells.csv", &table(&task(Space::NasBench201, 60, 2.0)), "worth");
    let draw = |n| Space::Darts.shuffled(&mut lanner_nn::rng(n, "test")).take(60);
    let (trained, asked): (Vec<_>, Vec<_>) = (draw(1).take(20).collect(), draw(2).collect());
    let worth = |archs: &[_]| log_flops(&Space::Darts, archs);
    let target =
        Table::new(Space::Darts, trained.clone(), vec!["worth".into()], vec![worth(&trained)]);
    let target = TaskTable::new("mine.csv", &target.unwrap(), "worth").unwrap();
    let fitted = TaskPredictor::fit(target, vec![other.unwrap()], vec![]).unwrap();
    let forecast = fitted.predict(&asked);
    assert!(spearman(&forecast.mean, &worth(&asked)) > 0.8);
    assert!(forecast.low.iter().zip(&forecast.high).all(|(low, high)| low < high));
}
