//! Fields and layer types that only a fork of Caffe defines, so that an error can name it.

/// The forks that define the field in this message, as `NVIDIA Caffe and Intel Caffe`; `None` if none is known to.
pub fn find(message: &str, field: &str) -> Option<String> {
    let known = |table: Table| table.iter().any(|(owner, fields)| *owner == message && fields.contains(&field));
    let forks: Vec<&str> = FORKS.iter().filter(|(_, table)| known(table)).map(|(fork, _)| *fork).collect();
    (!forks.is_empty()).then(|| forks.join(" and "))
}

/// The fork that defines this layer type, `None` if none is known to.
pub fn layer_type(name: &str) -> Option<&'static str> {
    LAYERS.iter().find(|(_, names)| names.contains(&name)).map(|(fork, _)| *fork)
}

/// Layer types by fork; a type that several forks share stands with the one it began in.
#[rustfmt::skip]
const LAYERS: &[(&str, &[&str])] = &[
    ("SSD Caffe", &[
        "AnnotatedData", "DetectionEvaluate", "MultiBoxLoss", "SmoothL1Loss", "VideoData",
    ]),
    ("NVIDIA Caffe", &[
        "DetectNetTransformation", "L1Loss", "TRT",
    ]),
    ("Intel Caffe", &[
        "BoxData", "EvalDetection", "MKLBatchNorm", "MnActivation", "RegionLoss", "Reorg", "SpatialDropout",
    ]),
    ("the Faster R-CNN and R-FCN forks", &[
        "BoxAnnotatorOHEM", "Proposal", "SmoothL1LossOHEM", "SoftmaxWithLossOHEM",
    ]),
    ("segmentation forks (SegNet, DeepLab, PSPNet)", &[
        "BN", "DenseCRF", "DenseImageData", "MatRead", "MatWrite", "SegAccuracy", "Unpooling",
    ]),
    ("face-recognition forks", &[
        "CenterLoss", "LabelSpecificAdd", "MarginInnerProduct", "TripletLoss",
    ]),
    ("FlowNet's fork", &[
        "Correlation", "DataAugmentation", "FlowWarp", "Resample",
    ]),
];

/// Fields by message.
type Table = &'static [(&'static str, &'static [&'static str])];

/// By fork. A field that several forks share stands with the one it began in.
#[rustfmt::skip]
const FORKS: &[(&str, Table)] = &[
    ("SSD Caffe", &[
        ("SolverParameter", &[
            "ap_version", "eval_type", "show_per_class_result",
        ]),
        ("LayerParameter", &[
            "annotated_data_param", "detection_evaluate_param", "multibox_loss_param", "video_data_param",
        ]),
        ("TransformationParameter", &[
            "crop_h", "crop_w", "distort_param", "emit_constraint", "expand_param", "noise_param", "resize_param",
        ]),
        ("SaveOutputParameter", &[
            "resize_param",
        ]),
    ]),
    ("NVIDIA Caffe", &[
        ("SolverParameter", &[
            "larc", "larc_eta", "larc_policy", "larc_turbo", "per_parameter_reduce", "solver_data_type",
            "store_blobs_in_old_format", "test_and_snapshot_last_epochs",
        ]),
        ("NetParameter", &[
            "default_backward_math", "default_backward_type", "default_conv_algos_override",
            "default_cudnn_math_override", "default_forward_math", "default_forward_type", "eltwise_mem_sharing",
            "global_grad_scale", "global_grad_scale_adaptive", "reduce_buckets",
        ]),
        ("LayerParameter", &[
            "backward_math", "backward_type", "cudnn_math_override", "debug", "detectnet_augmentation_param",
            "detectnet_groundtruth_param", "forward_math", "forward_type", "trt_param",
        ]),
        ("TransformationParameter", &[
            "allow_upscale", "display", "forward_packing", "horizontal_stretch_lower", "horizontal_stretch_upper",
            "img_rand_resize_lower", "img_rand_resize_upper", "interpolation_algo_down", "interpolation_algo_up",
            "num_labels", "rand_resize_ratio_lower", "rand_resize_ratio_upper", "random_seed", "use_gpu_transform",
            "vertical_stretch_lower", "vertical_stretch_upper",
        ]),
        ("DataParameter", &[
            "cache", "parser_threads", "precache", "shuffle", "threads",
        ]),
        ("ImageDataParameter", &[
            "cache", "dataset_share_per_node", "precache", "short_side", "threads",
        ]),
        ("BatchNormParameter", &[
            "bias_filler", "engine", "scale_bias", "scale_filler",
        ]),
        ("ConvolutionParameter", &[
            "conv_algos_override", "cudnn_convolution_algo_seeker",
        ]),
        ("DropoutParameter", &[
            "engine", "random_seed",
        ]),
        ("ELUParameter", &[
            "lambda",
        ]),
        ("LossParameter", &[
            "label_smoothing",
        ]),
        ("PoolingParameter", &[
            "torch_pooling",
        ]),
    ]),
    ("Intel Caffe", &[
        ("SolverParameter", &[
            "disabled_update", "engine", "local_gw_ratio", "local_lr_auto", "test_offset",
        ]),
        ("NetParameter", &[
            "bn_stats_batch_size", "compile_net_state", "engine", "multinode",
        ]),
        ("LayerParameter", &[
            "engine", "eval_detection_param", "mn_activation_param", "mn_grad_compress_param", "multinode",
            "quantization_param", "region_loss_param", "reorg_param", "spatial_dropout_param", "split_param",
        ]),
        ("TransformationParameter", &[
            "bgr2rgb", "flow", "pad", "random_aspect_ratio_param", "random_resize_param",
        ]),
        ("DataParameter", &[
            "shuffle", "side",
        ]),
        ("ImageDataParameter", &[
            "min_height", "min_width",
        ]),
        ("BatchNormParameter", &[
            "bias_filler", "bias_term", "engine", "filler", "relu", "stats_batch_size", "use_weight_bias",
        ]),
        ("ConcatParameter", &[
            "engine", "per_fla_fuse",
        ]),
        ("ConvolutionParameter", &[
            "coeff", "conv_algorithm", "fusion_type", "negative_slope", "relu",
        ]),
        ("EltwiseParameter", &[
            "engine",
        ]),
        ("FillerParameter", &[
            "scale",
        ]),
        ("InnerProductParameter", &[
            "engine", "negative_slope", "relu",
        ]),
        ("LossParameter", &[
            "label_smoothing", "pre_fixed_normalizer",
        ]),
        ("PoolingParameter", &[
            "avg_include_pad", "axis", "kernel_size_3d", "pad_3d", "stride_3d",
        ]),
        ("ReLUParameter", &[
            "fuse",
        ]),
        ("ROIPoolingParameter", &[
            "pooled_size",
        ]),
        ("ReshapeParameter", &[
            "pixelshuffler",
        ]),
    ]),
    ("the Faster R-CNN and R-FCN forks", &[
        ("LayerParameter", &[
            "box_annotator_ohem_param", "smooth_l1_loss_param",
        ]),
    ]),
    ("segmentation forks (SegNet, DeepLab, PSPNet)", &[
        ("LayerParameter", &[
            "bn_param", "dense_image_data_param", "seg_accuracy_param", "unpooling_param",
        ]),
    ]),
    ("ShuffleNet forks", &[
        ("LayerParameter", &[
            "depthwise_conv_param",
        ]),
    ]),
];
