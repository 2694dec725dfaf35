"""The TensorFlow operators that a SavedModel may contain.

The list has the allowed operators, not the forbidden ones: TensorFlow has 1,500, and new versions add some that read
files, start servers or run Python code. The allowed ones compute tensors from tensors or hold variables; none of them
opens a file, a connection or a process, or runs code that is not in the graph. They were collected from the SavedModels
of Keras Applications and of Keras' layers, with similar operators and those of Keras 2 and TensorFlow 1.
"""

_ARITHMETIC = """
    Abs Acos Acosh Add AddN AddV2 Angle Asin Asinh Atan Atan2 Atanh BiasAdd BiasAddV1 Bincount Bitcast BitwiseAnd
    BitwiseOr BitwiseXor Cast Ceil ClipByValue Complex ComplexAbs Conj Cos Cosh Cross Cumprod Cumsum
    CumulativeLogsumexp DenseBincount Digamma Div DivNoNan Elu Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod
    HistogramFixedWidth Imag Inv Invert IsFinite IsInf IsNan L2Loss LeakyRelu LeftShift Lgamma Log Log1p LogSoftmax
    Maximum Minimum Mod Mul MulNoNan Ndtri Neg NextAfter Polygamma Pow Real RealDiv Reciprocal Relu Relu6 RightShift
    Rint Round Rsqrt Selu Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Square SquaredDifference Sub Tan Tanh
    TruncateDiv TruncateMod Xdivy Xlog1py Xlogy
"""
_COMPARISONS = """
    All Any ApproximateEqual Equal Greater GreaterEqual InTopK InTopKV2 Less LessEqual LogicalAnd LogicalNot LogicalOr
    NotEqual Select SelectV2 Where
"""
_REDUCTIONS = """
    ArgMax ArgMin EuclideanNorm Max Mean Min Prod Sum SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum
    SegmentSumV2 TopK TopKV2 UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum
"""
_NETWORK_LAYERS = """
    AvgPool AvgPool3D BatchMatMul BatchMatMulV2 BatchMatMulV3 BatchNormWithGlobalNormalization BatchToSpace
    BatchToSpaceND Conv Conv2D Conv2DBackpropInput Conv2DBackpropInputV2 Conv3D Conv3DBackpropInputV2
    DataFormatDimMap DataFormatVecPermute DepthToSpace DepthwiseConv2dNative DepthwiseConv2dNativeBackpropInput
    Dilation2D Einsum FractionalAvgPool FractionalMaxPool FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3
    FusedPadConv2D FusedResizeAndPadConv2D LRN MatMul MaxPool MaxPool3D MaxPoolV2 MaxPoolWithArgmax SpaceToBatch
    SpaceToBatchND SpaceToDepth
"""
_LINEAR_ALGEBRA = """
    BatchMatrixBandPart BatchMatrixDiag Cholesky FFT FFT2D IFFT IFFT2D IRFFT IRFFT2D MatrixBandPart MatrixDeterminant
    MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixInverse MatrixSetDiag
    MatrixSetDiagV2 MatrixSetDiagV3 MatrixSolve MatrixTriangularSolve Qr RFFT RFFT2D SelfAdjointEigV2 Svd
"""
_SHAPES = """
    BroadcastArgs BroadcastTo Concat ConcatOffset ConcatV2 Diag DiagPart Empty EnsureShape ExpandDims Fill Gather
    GatherNd GatherV2 InvertPermutation LinSpace ListDiff MirrorPad OneHot OnesLike Pack Pad PadV2 ParallelConcat Range
    Rank Reshape Reverse ReverseSequence ReverseV2 Roll ScatterNd Shape ShapeN Size Slice Split SplitV Squeeze
    StridedSlice TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate
    TensorStridedSliceUpdate Tile Transpose Unique UniqueV2 UniqueWithCounts Unpack UnravelIndex ZerosLike
"""
_IMAGES = """
    AdjustContrast AdjustContrastv2 AdjustHue AdjustSaturation CropAndResize ExtractGlimpse ExtractGlimpseV2
    ExtractImagePatches HSVToRGB ImageProjectiveTransformV2 ImageProjectiveTransformV3 RGBToHSV ResizeArea
    ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate
"""
# Of dropout and augmentation, which saved models may contain.
_RANDOM = """
    Multinomial RandomGamma RandomPoissonV2 RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt
    RngReadAndSkip RngSkip StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt
    StatefulUniformInt StatelessMultinomial StatelessParameterizedTruncatedNormal StatelessRandomBinomial
    StatelessRandomGammaV2 StatelessRandomGammaV3 StatelessRandomGetAlg StatelessRandomGetKeyCounter
    StatelessRandomGetKeyCounterAlg StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomPoisson
    StatelessRandomUniform StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2 StatelessRandomUniformInt
    StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessShuffle StatelessTruncatedNormal
    StatelessTruncatedNormalV2 TruncatedNormal
"""
RANDOM = frozenset(_RANDOM.split())
# Of quantization-aware training.
_FAKE_QUANTIZATION = """
    Dequantize FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantize
    QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 QuantizeV2
"""
_VARIABLES = """
    Assign AssignAdd AssignAddVariableOp AssignSub AssignSubVariableOp AssignVariableOp DisableCopyOnRead
    IsVariableInitialized ReadVariableOp ResourceGather ResourceGatherNd VarHandleOp VarIsInitializedOp Variable
    VariableShape VariableV2
"""
# Branches always end; loops may not, so they are in a list of their own.
_GRAPH = """
    Assert Case CheckNumerics Const If Identity IdentityN Merge NoOp PartitionedCall Placeholder PlaceholderV2
    PlaceholderWithDefault PreventGradient RefIdentity RefSwitch Snapshot StatefulPartitionedCall StatelessCase
    StatelessIf StopGradient Switch
"""

ALLOWED = frozenset(
    " ".join(
        (
            _ARITHMETIC,
            _COMPARISONS,
            _REDUCTIONS,
            _NETWORK_LAYERS,
            _LINEAR_ALGEBRA,
            _SHAPES,
            _IMAGES,
            _RANDOM,
            _FAKE_QUANTIZATION,
            _VARIABLES,
            _GRAPH,
        )
    ).split()
)

# Keras 2 stores the training branch of a model as separate functions, and its augmentation loops over the images.
_LOOPS = """
    EmptyTensorList For StatelessWhile TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather
    TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack TensorListReserve TensorListResize
    TensorListSetItem TensorListSplit TensorListStack While
"""
# Allowed in functions that nothing runs.
LOOPS = frozenset(_LOOPS.split())

# Every SavedModel has these to save and restore itself.
_SAVER = """
    MergeV2Checkpoints Restore RestoreSlice RestoreV2 Save SaveSlices SaveV2 ShardedFilename StaticRegexFullMatch
    StringJoin
"""
# Allowed in functions that nothing runs: TensorFlow's loader restores the variables with its own operators.
SAVER = frozenset(_SAVER.split())
# Those that read variables, which a SavedModel of TensorFlow 1 does with its own operators.
RESTORE = frozenset({"Restore", "RestoreSlice", "RestoreV2", "StringJoin", "ShardedFilename"})
