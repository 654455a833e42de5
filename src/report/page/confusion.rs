//! What a test confused: the matrix, each class' recall and precision, the worst pairs.

use std::{fs, path::Path};

use super::{html::escaped, numbers::whole};
use crate::{
    error::{Error, Result},
    report::confusion::Confusion,
};

/// The most pairs that are listed.
const PAIRS: usize = 12;

/// Reads the matrix that `rcaffe test --confusion --csv FILE` writes: a header row with the names of the classes, then a row of counts for each true
/// class. Rows may begin with their name.
///
/// # Errors
/// When the file cannot be read or is no such table.
pub fn read(path: &Path) -> Result<Confusion> {
    let text = fs::read_to_string(path).map_err(|cause| Error::io(path, cause))?;
    let fail = |message: String| Error::data(path.display().to_string(), message);
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let rows = reader.records().collect::<Result<Vec<_>, _>>().map_err(|error| fail(error.to_string()))?;
    let (head, rows) = rows.split_first().ok_or_else(|| fail("is empty".into()))?;
    let corner = head.get(0).is_some_and(|cell| cell.is_empty() || cell.to_lowercase().contains("truth"));
    let named = corner || rows.first().and_then(|row| row.get(0)).is_some_and(|cell| cell.parse::<u64>().is_err());
    let skip = usize::from(named);
    let names: Vec<String> =
        head.iter().skip(if named && head.len() == rows.len() { 0 } else { skip }).map(String::from).collect();
    let mut values = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let counts = row
            .iter()
            .skip(skip)
            .map(|cell| cell.parse::<u64>().map_err(|_| fail(format!("line {}: {cell:?} is no count", index + 2))));
        values.push(counts.collect::<Result<Vec<u64>>>()?);
    }
    if names.is_empty() || values.len() != names.len() || values.iter().any(|row| row.len() != names.len()) {
        return Err(fail(format!(
            "is no matrix of {} classes: a header row of names, then as many rows of counts",
            names.len()
        )));
    }
    Confusion::with_counts(names, values)
}

/// The section with the matrix; nothing where no test was made.
///
/// # Errors
/// When there are no classes.
pub(super) fn section(confusion: Option<&Confusion>) -> Result<String> {
    let Some(confusion) = confusion else { return Ok(String::new()) };
    let picture = confusion.grid("").svg()?;
    let names = confusion.names();
    let images = |class: usize| confusion.counts()[class].iter().sum::<u64>();
    let class = |index: usize| {
        let (recall, precision) = (percent(confusion.recall(index)), percent(confusion.precision(index)));
        let (name, images) = (escaped(&names[index]), whole(images(index) as f64));
        format!("<tr><th>{name}</th><td>{images}</td><td>{recall}</td><td>{precision}</td></tr>\n")
    };
    let classes: String = (0..names.len()).map(class).collect();
    let pair = |(truth, taken, count): (&str, &str, u64)| {
        let of_class = names.iter().position(|name| name == truth).map(images).filter(|images| *images > 0);
        let share = percent(of_class.map(|images| count as f64 / images as f64));
        let (truth, taken, count) = (escaped(truth), escaped(taken), whole(count as f64));
        format!("<tr><th>{truth}</th><td class=\"text\">{taken}</td><td>{count}</td><td>{share}</td></tr>\n")
    };
    let pairs: String = confusion.worst(PAIRS).into_iter().map(pair).collect();
    let right: u64 = (0..names.len()).map(|index| confusion.counts()[index][index]).sum();
    let total: u64 = (0..names.len()).map(images).sum();
    Ok(format!(
        "<section>\n<h2>Confusion</h2>\n<p class=\"quiet\">{} of {} images right: {}</p>\n<div class=\"picture\">{picture}</div>\n\
         <div class=\"columns\"><div><h3>Worst confusions</h3><div class=\"scroll\"><table id=\"confusions\"><thead><tr><th>truth</th>\
         <th class=\"text\">taken for</th><th>images</th><th>of its class</th></tr></thead><tbody>\n{pairs}</tbody></table></div></div>\n\
         <div><h3>Classes</h3><div class=\"scroll\"><table id=\"classes\"><thead><tr><th>class</th><th>images</th><th>recall</th>\
         <th>precision</th></tr></thead><tbody>\n{classes}</tbody></table></div></div></div>\n</section>\n",
        whole(right as f64),
        whole(total as f64),
        percent(confusion.accuracy()),
    ))
}

fn percent(part: Option<f64>) -> String {
    part.map_or("–".into(), |part| format!("{:.1} %", 100.0 * part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Confusion> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confusion.csv");
        fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn tables_with_and_without_names_of_rows_are_read() {
        for text in [
            "cat,dog\n9,1\n2,8\n",
            ",cat,dog\ncat,9,1\ndog,2,8\n",
            "truth,cat,dog\n\"cat\",9,1\ndog,2,8\n",
            "cat,dog\ncat,9,1\ndog,2,8\n",
        ] {
            let grid = read_text(text).unwrap();
            assert_eq!(grid.csv(), "truth,cat,dog\ncat,9,1\ndog,2,8\n", "{text}");
        }
        for text in ["", "cat,dog\n9,1\n", "cat,dog\n9,1\n2,x\n", "cat,dog\n9,1,3\n2,8,1\n"] {
            assert!(read_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn classes_and_confusions_are_listed() {
        let grid = read_text("cat,dog,frog\n90,10,0\n25,75,0\n1,0,99\n").unwrap();
        let text = section(Some(&grid)).unwrap();
        assert!(text.contains("264 of 300 images right: 88.0 %"), "{text}");
        assert!(text.contains("<tr><th>dog</th><td class=\"text\">cat</td><td>25</td><td>25.0 %</td></tr>"));
    }
}
