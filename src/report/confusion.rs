//! Which classes a net takes for which: counts by truth and prediction, precision and recall of each class.

use crate::{
    error::{Error, Result},
    net::Net,
    prototxt::number::general,
    report::chart::Grid,
};

/// A confusion matrix: rows are the truth, columns the predictions.
///
/// ```
/// use rcaffe::report::confusion::Confusion;
///
/// let mut confusion = Confusion::new(vec!["cat".into(), "dog".into()]);
/// for (truth, prediction) in [(0, 0), (0, 0), (0, 1), (1, 1)] {
///     confusion.add(truth, prediction);
/// }
/// assert_eq!(confusion.counts(), [[2, 1], [0, 1]]);
/// assert_eq!((confusion.recall(0), confusion.precision(1)), (Some(2.0 / 3.0), Some(0.5)));
/// assert_eq!(confusion.csv(), "truth,cat,dog\ncat,2,1\ndog,0,1\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    names: Vec<String>,
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// An empty matrix of these classes.
    pub fn new(names: Vec<String>) -> Self {
        let counts = vec![vec![0; names.len()]; names.len()];
        Confusion { names, counts }
    }

    /// The matrix of these classes with these counts: by truth, then by prediction.
    ///
    /// # Errors
    /// When there are not as many rows, and values in each, as classes.
    pub fn with_counts(names: Vec<String>, counts: Vec<Vec<u64>>) -> Result<Self> {
        if counts.len() != names.len() || counts.iter().any(|row| row.len() != names.len()) {
            let message = format!("needs {0} rows of {0} counts, one for each class", names.len());
            return Err(Error::config("the confusion matrix", message));
        }
        Ok(Confusion { names, counts })
    }

    /// Counts one image; one whose label is no class (an ignored one) does not count.
    pub fn add(&mut self, truth: usize, prediction: usize) {
        if let Some(count) = self.counts.get_mut(truth).and_then(|row| row.get_mut(prediction)) {
            *count += 1;
        }
    }

    /// The names of the classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The counts: by truth, then by prediction.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// The part of a class's images that were taken for it; `None` for a class without images.
    pub fn recall(&self, class: usize) -> Option<f64> {
        part(self.counts[class][class], self.counts[class].iter().sum())
    }

    /// The part of what was taken for a class that is of it; `None` for a class that nothing was taken for.
    pub fn precision(&self, class: usize) -> Option<f64> {
        part(self.counts[class][class], self.counts.iter().map(|row| row[class]).sum())
    }

    /// The part of all images that were taken for what they are; `None` where there were none.
    pub fn accuracy(&self) -> Option<f64> {
        let right = (0..self.names.len()).map(|class| self.counts[class][class]).sum();
        part(right, self.counts.iter().flatten().sum())
    }

    /// The pairs of different classes that were confused most often: truth, prediction, count.
    pub fn worst(&self, most: usize) -> Vec<(&str, &str, u64)> {
        let classes = 0..self.names.len();
        let pairs = classes.clone().flat_map(|truth| classes.clone().map(move |prediction| (truth, prediction)));
        let mut pairs: Vec<(usize, usize)> =
            pairs.filter(|&(truth, prediction)| truth != prediction && self.counts[truth][prediction] > 0).collect();
        pairs.sort_by_key(|&(truth, prediction)| std::cmp::Reverse(self.counts[truth][prediction]));
        let named = |&(truth, prediction): &(usize, usize)| {
            (self.names[truth].as_str(), self.names[prediction].as_str(), self.counts[truth][prediction])
        };
        pairs.iter().take(most).map(named).collect()
    }

    /// The matrix as text: a row for each class, then its recall and precision.
    pub fn table(&self) -> Vec<String> {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let heading = std::iter::once("truth").chain(self.names.iter().map(String::as_str));
        rows.push(heading.chain(["recall", "precision"]).map(str::to_owned).collect());
        for (class, counts) in self.counts.iter().enumerate() {
            let mut row = vec![self.names[class].clone()];
            row.extend(counts.iter().map(u64::to_string));
            row.extend([self.recall(class), self.precision(class)].map(shown));
            rows.push(row);
        }
        let columns = self.names.len() + 3;
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(
                |(column, (cell, &width))| {
                    if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            );
            cells.collect::<Vec<_>>().join("  ")
        };
        rows.iter().map(line).collect()
    }

    /// The matrix as CSV: a row of names, then for each class its name and its counts.
    pub fn csv(&self) -> String {
        let cell = |name: &str| {
            if name.contains(['"', ',', '\n']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
        };
        let mut text = format!("truth,{}\n", self.names.iter().map(|name| cell(name)).collect::<Vec<_>>().join(","));
        for (name, counts) in self.names.iter().zip(&self.counts) {
            let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
            text += &format!("{},{}\n", cell(name), counts.join(","));
        }
        text
    }

    /// The matrix as a picture.
    pub fn grid(&self, title: &str) -> Grid {
        Grid {
            title: title.to_owned(),
            row_label: "truth".into(),
            column_label: "prediction".into(),
            names: self.names.clone(),
            values: self.counts.clone(),
        }
    }
}

fn part(some: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| some as f64 / all as f64)
}

fn shown(part: Option<f64>) -> String {
    part.map_or_else(|| "-".into(), |part| general(part, 3))
}

/// Where a net has its scores and labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predictions {
    scores: String,
    labels: String,
    classes: usize,
    inner: usize,
}

impl Predictions {
    /// The scores and labels that the net's Accuracy layer reads, or where there is none, its SoftmaxWithLoss.
    ///
    /// # Errors
    /// When the net has neither, or the shapes of their blobs do not fit.
    pub fn of(net: &Net) -> Result<Self> {
        let layers = || 0..net.layer_names().count();
        let found = ["Accuracy", "SoftmaxWithLoss"].iter().find_map(|kind| {
            layers().find(|&layer| net.layer_type(layer) == *kind && net.layer_bottoms(layer).count() > 1)
        });
        let layer = found.ok_or_else(|| {
            let message =
                "needs a net with an Accuracy or a SoftmaxWithLoss layer in its TEST phase: it reads scores and labels";
            Error::config("--confusion", message)
        })?;
        let bottoms: Vec<&str> = net.layer_bottoms(layer).collect();
        let [scores, labels] = [bottoms[0], bottoms[1]].map(str::to_owned);
        let dims = net.blob(&scores).map(|blob| blob.shape().dims().to_vec()).unwrap_or_default();
        let (classes, inner) = match dims.as_slice() {
            [_, classes, rest @ ..] => (*classes, rest.iter().product::<usize>()),
            _ => return Err(Error::shape(format!("--confusion: {scores:?} is no N×classes blob"))),
        };
        Ok(Predictions { scores, labels, classes, inner })
    }

    /// How many classes there are scores for.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Counts the images of the batch that the net has just computed.
    pub fn count(&self, net: &Net, confusion: &mut Confusion) {
        let (Some(scores), Some(labels)) = (net.blob(&self.scores), net.blob(&self.labels)) else { return };
        let (scores, labels) = (scores.data().host(), labels.data().host());
        for (position, &label) in labels.iter().enumerate() {
            let (item, place) = (position / self.inner, position % self.inner);
            let score = |class: usize| scores.get((item * self.classes + class) * self.inner + place);
            // The first of equal scores, so that a net that says nothing is not right by chance in the last class.
            let best = (0..self.classes).rev().max_by(|&one, &other| match (score(one), score(other)) {
                (Some(one), Some(other)) => one.total_cmp(other),
                _ => std::cmp::Ordering::Equal,
            });
            if let (Some(best), true) = (best, label >= 0.0) {
                confusion.add(label as usize, best);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prototxt::parse_net, rng::SharedRandom};

    #[test]
    fn classes_that_never_come_have_no_recall() {
        let mut confusion = Confusion::new(["a", "b, c", "d"].map(str::to_owned).into());
        for (truth, prediction) in [(0, 0), (0, 1), (1, 0), (1, 0), (1, 1), (7, 0), (0, 9)] {
            confusion.add(truth, prediction);
        }
        assert_eq!(confusion.accuracy(), Some(0.4));
        assert_eq!((confusion.recall(2), confusion.precision(2)), (None, None));
        assert_eq!(confusion.worst(1), [("b, c", "a", 2)]);
        assert!(confusion.csv().starts_with("truth,a,\"b, c\",d\n"));
        let table = confusion.table();
        assert!(table[1].ends_with("0.5      0.333"), "{table:#?}");
        assert!(table[3].ends_with("-          -"), "{table:#?}");
        assert_eq!(Confusion::new(Vec::new()).accuracy(), None);
    }

    #[test]
    fn predictions_are_the_largest_scores() {
        let text = r#"
            layer { name: "in" type: "Input" top: "scores" top: "label"
              input_param { shape { dim: 2 dim: 3 dim: 2 } shape { dim: 2 dim: 2 } } }
            layer { name: "accuracy" type: "Accuracy" bottom: "scores" bottom: "label" top: "accuracy" }"#;
        let net = Net::new(&parse_net(text, "net").unwrap().message, "net", SharedRandom::new(1)).unwrap();
        net.blob("scores").unwrap().data().host_mut().copy_from_slice(&[
            0.1, 0.9, 0.7, 0.0, 0.2, 0.1, // places 0 and 1 of the first image, class after class
            5.0, 5.0, 5.0, 6.0, 5.0, 7.0,
        ]);
        net.blob("label").unwrap().data().host_mut().copy_from_slice(&[1.0, 0.0, 0.0, 1.0]);
        let predictions = Predictions::of(&net).unwrap();
        let mut confusion = Confusion::new(vec!["0".into(), "1".into(), "2".into()]);
        predictions.count(&net, &mut confusion);
        assert_eq!(confusion.counts(), [vec![2, 0, 0], vec![0, 1, 1], vec![0, 0, 0]]);
    }
}
