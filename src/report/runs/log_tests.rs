use super::*;
use crate::report::runs::X;

/// Lines of Caffe 2013, 2014, rc3, 1.0, of NVIDIA's and of Smith's Caffe, each a run with a test at iteration 0 and two displays.
const LOGS: [&str; 6] = [
    "I1128 14:51:16.000000  9 solver.cpp:43] Solving net\n\
     I1128 14:51:16.500000  9 solver.cpp:80] Testing net\n\
     I1128 14:51:17.000000  9 solver.cpp:107] Test score #0: 0.25\n\
     I1128 14:51:17.500000  9 solver.cpp:200] Iteration 0, lr = 0.01\n\
     I1128 14:51:17.500000  9 solver.cpp:65] Iteration 0, loss = 2.5\n\
     I1128 14:51:18.000000  9 solver.cpp:200] Iteration 20, lr = 0.02\n\
     I1128 14:51:18.000000  9 solver.cpp:65] Iteration 20, loss = 1.5\n",
    "I0831 14:51:16.000000  9 solver.cpp:165] Solving net\n\
     I0831 14:51:16.500000  9 solver.cpp:251] Iteration 0, Testing net (#0)\n\
     I0831 14:51:17.000000  9 solver.cpp:302]     Test net output #0: accuracy = 0.25\n\
     I0831 14:51:17.500000  9 solver.cpp:195] Iteration 0, loss = 2.5\n\
     I0831 14:51:17.500000  9 solver.cpp:210]     Train net output #0: loss = 2.4 (* 1 = 2.4 loss)\n\
     I0831 14:51:17.500000  9 solver.cpp:397] Iteration 0, lr = 0.01\n\
     I0831 14:51:18.000000  9 solver.cpp:195] Iteration 20, loss = 1.5\n\
     I0831 14:51:18.000000  9 solver.cpp:210]     Train net output #0: loss = 1.4 (* 1 = 1.4 loss)\n\
     I0831 14:51:18.000000  9 solver.cpp:397] Iteration 20, lr = 0.02\n",
    "I0129 19:02:45.900000 77 solver.cpp:280] Solving \n\
     I0129 19:02:45.900000 77 solver.cpp:281] Learning Rate Policy: step\n\
     I0129 19:02:46.400000 77 solver.cpp:338] Iteration 0, Testing net (#0)\n\
     I0129 19:02:46.900000 77 blocking_queue.cpp:50] Data layer prefetch queue empty\n\
     I0129 19:02:46.900000 77 solver.cpp:406]     Test net output #0: accuracy = 0.25\n\
     I0129 19:02:47.400000 77 solver.cpp:229] Iteration 0, loss = 2.5\n\
     I0129 19:02:47.400000 77 solver.cpp:245]     Train net output #0: loss = 2.4 (* 1 = 2.4 loss)\n\
     I0129 19:02:47.400000 77 sgd_solver.cpp:106] Iteration 0, lr = 0.01\n\
     I0129 19:02:47.900000 77 solver.cpp:229] Iteration 20, loss = 1.5\n\
     I0129 19:02:47.900000 77 solver.cpp:245]     Train net output #0: loss = 1.4 (* 1 = 1.4 loss)\n\
     I0129 19:02:47.900000 77 sgd_solver.cpp:106] Iteration 20, lr = 0.02\n",
    "I0129 19:02:45.900000 77 solver.cpp:289] Solving small\n\
     I0129 19:02:46.400000 77 solver.cpp:347] Iteration 0, Testing net (#0)\n\
     I0129 19:02:46.900000 77 solver.cpp:414]     Test net output #0: accuracy = 0.25\n\
     I0129 19:02:47.400000 77 solver.cpp:239] Iteration 0 (0.000553512 iter/s, 0.132s/20 iters), loss = 2.5\n\
     I0129 19:02:47.400000 77 solver.cpp:258]     Train net output #0: loss = 2.4 (* 1 = 2.4 loss)\n\
     I0129 19:02:47.400000 77 sgd_solver.cpp:135] Iteration 0, lr = 0.01\n\
     I0129 19:02:47.900000 77 solver.cpp:239] Iteration 20 (253.165 iter/s, 0.079s/20 iters), loss = 1.5\n\
     I0129 19:02:47.900000 77 solver.cpp:258]     Train net output #0: loss = 1.4 (* 1 = 1.4 loss)\n\
     I0129 19:02:47.900000 77 sgd_solver.cpp:135] Iteration 20, lr = 0.02\n",
    "I0129 19:02:45.900000 77 solver.cpp:411] [0] Solving small Learning Rate Policy: step\n\
     I0129 19:02:46.400000 77 solver.cpp:494] Iteration 0, Testing net (#0)\n\
     I0129 19:02:46.900000 77 solver.cpp:581]     [0]     Test net output #0: accuracy = 0.25\n\
     I0129 19:02:46.900000 77 solver.cpp:241] Initial Test completed in 0.5s\n\
     I0129 19:02:47.400000 77 solver.cpp:342]     [0] Iteration 0 (0.5 s), 0/12ep, loss = 2.5\n\
     I0129 19:02:47.400000 77 solver.cpp:358]     [0]     Train net output #0: loss = 2.4 (* 1 = 2.4 loss)\n\
     I0129 19:02:47.400000 77 sgd_solver.cpp:180]     [0] Iteration 0, lr = 0.01, m = 0.9, lrm = 0.1, wd = 0.0005, gs = 1\n\
     I0129 19:02:47.900000 77 solver.cpp:337]     [0] Iteration 20 (253.2 iter/s, 0.07s/19 iter), 1.5/12ep, loss = 1.5\n\
     I0129 19:02:47.900000 77 solver.cpp:358]     [0]     Train net output #0: loss = 1.4 (* 1 = 1.4 loss)\n\
     I0129 19:02:47.900000 77 sgd_solver.cpp:180]     [0] Iteration 19, lr = 0.02, m = 0.9, lrm = 0.2, wd = 0.0005, gs = 1\n",
    "I0129 19:02:45.900000 77 solver.cpp:289] Solving small\n\
     I0129 19:02:46.400000 77 solver.cpp:347] Iteration 0, Testing net (#0)\n\
     I0129 19:02:46.900000 77 solver.cpp:414]     Test net output #0: accuracy = 0.25\n\
     I0129 19:02:47.400000 77 solver.cpp:228] Iteration 0, loss = 2.5\n\
     I0129 19:02:47.400000 77 solver.cpp:244]     Train net output #0: loss = 2.4 (* 1 = 2.4 loss)\n\
     I0129 19:02:47.400000 77 sgd_solver.cpp:106] Iteration 0, lr = 0.01, momentum = 0.9, weight decay = 0.0001\n\
     I0129 19:02:47.900000 77 solver.cpp:228] Iteration 20, loss = 1.5\n\
     I0129 19:02:47.900000 77 solver.cpp:244]     Train net output #0: loss = 1.4 (* 1 = 1.4 loss)\n\
     I0129 19:02:47.900000 77 sgd_solver.cpp:106] Iteration 20, lr = 0.02, momentum = 0.9, weight decay = 0.0001\n",
];

#[test]
fn every_caffe_says_the_same() {
    for (number, text) in LOGS.iter().enumerate() {
        let run = read(text);
        assert_eq!(run.series("loss", X::Iteration), Some(vec![(0.0, 2.5), (20.0, 1.5)]), "log {number}");
        assert_eq!(run.series("lr", X::Iteration), Some(vec![(0.0, 0.01), (20.0, 0.02)]), "log {number}");
        assert_eq!(run.series("loss", X::Seconds), Some(vec![(1.5, 2.5), (2.0, 1.5)]), "log {number}");
        let (accuracy, outputs) =
            if number == 0 { ("score 0", None) } else { ("accuracy", Some(vec![(0.0, 2.4), (20.0, 1.4)])) };
        assert_eq!(run.series(accuracy, X::Rate), Some(vec![(0.01, 0.25)]), "log {number}");
        let found = run
            .train
            .iter()
            .filter_map(|record| Some((record.iteration as f64, record.output("loss")?)))
            .collect::<Vec<_>>();
        assert_eq!((!found.is_empty()).then_some(found), outputs, "log {number}");
        let momentum = (number > 3).then(|| vec![(0.0, 0.9), (20.0, 0.9)]);
        assert_eq!(run.series("momentum", X::Iteration), momentum, "log {number}");
    }
    assert_eq!(read(LOGS[4]).series("loss", X::Epoch), Some(vec![(0.0, 2.5), (1.5, 1.5)]));
}

#[test]
fn prefixes_may_be_left_out() {
    let bare: String = LOGS[3].lines().map(|line| format!("{}\n", split(line).1)).collect();
    let (mut with, without) = (read(LOGS[3]), read(&bare));
    with.train.iter_mut().chain(&mut with.test).for_each(|record| record.seconds = None);
    assert_eq!(with, without);
}

/// A run that was stopped after iteration 40, and went on from the snapshot at 20 an hour later.
#[test]
fn a_resumed_run_is_one_run() {
    let more = "I0129 19:02:48.400000 77 solver.cpp:239] Iteration 40 (2 iter/s, 1s/20 iters), loss = 9\n\
                I0129 19:02:48.400000 77 solver.cpp:347] Iteration 41, Testing net (#0)\n\
                I0129 19:02:48.400000 77 solver.cpp:414]     Test net output #0: accuracy = 0.9\n\
                I0129 20:02:00.000000 77 solver.cpp:289] Solving small\n\
                I0129 20:02:00.500000 77 solver.cpp:239] Iteration 20 (2 iter/s, 1s/20 iters), loss = 1.25\n\
                I0129 20:02:00.500000 77 solver.cpp:258]     Train net output #0: loss = 1 (* 1 = 1 loss)\n\
                I0129 20:02:01.000000 77 solver.cpp:239] Iteration 40 (2 iter/s, 1s/20 iters), loss = 1\n";
    let run = read(&format!("{}{more}", LOGS[3]));
    assert_eq!(run.series("loss", X::Seconds), Some(vec![(1.5, 2.5), (3.0, 1.25), (3.5, 1.0)]));
    assert_eq!(run.train[1].outputs, [("loss".to_string(), 1.0)]);
    assert_eq!(run.test.len(), 1);
}

#[test]
fn the_solver_is_kept_and_says_what_the_loss_is() {
    let text = format!(
        "I0129 19:02:45.000000 77 solver.cpp:45] Initializing solver from parameters: \nbase_lr: 0.01\naverage_loss: 10\n\
         I0129 19:02:45.000000 77 solver.cpp:102] Creating training net from net file: net.prototxt\n{}",
        LOGS[3]
    );
    let run = read(&text);
    assert_eq!(run.solver_text.as_deref(), Some("base_lr: 0.01\naverage_loss: 10\n"));
    assert_eq!((run.train[0].loss, run.train[0].smoothed_loss), (None, Some(2.5)));
    assert_eq!(run.series("loss", X::Iteration).unwrap()[0], (0.0, 2.5));
}

/// Cut anywhere, a log gives what its complete lines say.
#[test]
fn a_log_that_is_still_written_is_read() {
    for text in LOGS {
        for end in 0..text.len() {
            let run = read(&text[..end]);
            assert!(run.train.iter().all(|record| [None, Some(2.5), Some(1.5)].contains(&record.loss)));
        }
    }
}

mod arbitrary {
    use proptest::prelude::*;

    use super::super::read;
    use crate::report::runs::caffe_tables::Tables;

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            read(&text);
            Tables::of_log(&text);
        }

        /// Text made of the words that the reader looks for.
        #[test]
        fn any_words_are_read(words in prop::collection::vec(prop::sample::select(vec![
            "I0129 19:02:45.9 7 a.cpp:1] ", "I20260229 00:00:00.000001 7 a:1] ", "Iteration ", "18446744073709551615", "Testing net", "(#", "0",
            ", loss = ", ", lr = ", "Train net output #", "Test net output #", ": ", "a", " = ", "nan", "-1.#IND", "é", "Solving ", "\n",
            "Test score #", "Test loss: ", "Initializing solver from parameters", "ep, ", "), ", "1e999",
        ]), 0..60)) {
            let text = words.concat();
            let run = read(&text);
            let tables = Tables::of_log(&text);
            prop_assert!(run.train.windows(2).all(|pair| pair[0].iteration < pair[1].iteration));
            prop_assert!(tables.train.iter().chain(&tables.test).all(|row| row.len() >= 3));
        }
    }
}
